module "user_data" {
  source       = "../user-data"
  node         = var.node
  cluster      = var.cluster
  config       = var.config
  binary       = { url = var.binary.url, sha256 = var.binary.file == "" ? var.binary.sha256 : filesha256(var.binary.file) }
  tokens       = var.tokens_file != ""
  admin_listen = var.admin_listen
  tls_certs    = var.tls_certs
  logs         = var.logs
  drain_wait   = var.drain_wait
  init         = var.init
  root         = var.root
}

locals {
  name = var.node.name
  # Below the home of who logs in, which is nobody else's, and not in /tmp.
  stage  = "./.tmms-${local.name}"
  sha256 = var.binary.file == "" ? var.binary.sha256 : filesha256(var.binary.file)

  # A step runs as root, by sudo if need be.
  become = "become() { if [ \"$(id -u)\" = 0 ]; then \"$@\"; else sudo -n \"$@\"; fi; }"

  # What a connection takes as host_key: Terraform puts a name before it and reads it as
  # known_hosts, with one key of each type for a name. So this is a list, with all keys of
  # the host and of the bastion, whose own argument releases before 1.15 do not look at. The
  # key in front is nobody's, a hash in place of a point: the name falls to that.
  known_hosts = join("\n", concat(
    ["sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAILeAn5c1/S4ajDMbUqUZrl/kgx+ES+vZpMvzhuIsedeLAAAABHNzaDo="],
    [for line in split("\n", trimspace(var.host_key)) : "[${var.ssh.host}]:${var.ssh.port} ${trimspace(line)}"],
    [for line in split("\n", trimspace(try(var.ssh.bastion.host_key, ""))) : "[${var.ssh.bastion.host}]:${var.ssh.bastion.port} ${trimspace(line)}" if line != ""],
  ))

  # Longer than a node that goes well has the turn: install.sh's own limits, in seconds.
  patience = 300 + try(tonumber(trimsuffix(var.drain_wait, "s")), 60 * tonumber(trimsuffix(var.drain_wait, "m")))

  # All that is not secret, and what is done with it, in one file.
  settings = { INIT = var.init, API = var.api.url, LIB = module.user_data.paths.lib, PKI = module.user_data.paths.pki, ETC = module.user_data.paths.etc }
  script = join("\n", concat(
    ["#!/usr/bin/env bash"],
    [for k, v in local.settings : "${k}='${v}'"],
    ["FILES='${join("\n", [for path, content in module.user_data.files : "${path} ${base64encode(content)}"])}'"],
    [file("${path.module}/host.sh")],
  ))
  remove = "become bash ${module.user_data.paths.lib}/install.sh --token ${local.stage}/token --remove --drain ${var.api.url}"
}

# The host. It goes when the node goes, or moves to another host: the node is drained then,
# ended, and all that was put there removed. How it is reached may change meanwhile.
resource "terraform_data" "host" {
  input = {
    ssh = merge(var.ssh, { known_hosts = local.known_hosts, bastion = var.ssh.bastion == null ? {
      host = null, port = null, user = null, key_file = "", host_key = null
    } : var.ssh.bastion })
    stage = local.stage, script = "${local.stage}.sh", token_file = var.api.token_file
    remove = [
      local.become,
      "if [ -e '${module.user_data.paths.lib}/install.sh' ]; then ${local.remove}; fi",
      "rm -rf ${local.stage} ${local.stage}.sh",
    ]
  }
  triggers_replace = [local.name, var.ssh.host, var.ssh.port, var.init, var.root]
  connection {
    host                = self.input.ssh.host
    port                = self.input.ssh.port
    user                = self.input.ssh.user
    private_key         = self.input.ssh.key_file == "" ? null : file(pathexpand(self.input.ssh.key_file))
    agent               = self.input.ssh.key_file == ""
    host_key            = self.input.ssh.known_hosts
    timeout             = self.input.ssh.timeout
    script_path         = self.input.script
    bastion_host        = self.input.ssh.bastion.host
    bastion_port        = self.input.ssh.bastion.port
    bastion_user        = self.input.ssh.bastion.user
    bastion_private_key = self.input.ssh.bastion.key_file == "" ? null : file(pathexpand(self.input.ssh.bastion.key_file))
    bastion_host_key    = self.input.ssh.known_hosts
  }
  provisioner "remote-exec" {
    inline = [
      local.become,
      "become true || { echo 'tmms: want root, or sudo without a password, on ${local.name}' >&2; exit 1; }",
      "for tool in bash curl scp sha256sum; do command -v $tool >/dev/null || { echo \"tmms: ${local.name} has no $tool\" >&2; exit 1; }; done",
      "mkdir -p -m 0700 ${local.stage}",
    ]
  }
  provisioner "remote-exec" {
    when   = destroy
    inline = ["umask 077; mkdir -p ${self.input.stage}/last"]
  }
  provisioner "file" {
    when        = destroy
    source      = coalesce(self.input.token_file, "/dev/null")
    destination = "${self.input.stage}/token"
  }
  # Terraform leaves an empty file in place of each script, but for this one: it
  # does not find the folder of its folder any more.
  provisioner "remote-exec" {
    when   = destroy
    inline = self.input.remove
    connection {
      host        = self.input.ssh.host
      script_path = "${self.input.stage}/last/remove.sh"
    }
  }
}

# A release's binary is uploaded once, and waits there for the step below.
resource "terraform_data" "binary" {
  count            = var.binary.file == "" ? 0 : 1
  triggers_replace = [terraform_data.host.id, local.sha256]
  connection {
    host                = var.ssh.host
    port                = var.ssh.port
    user                = var.ssh.user
    private_key         = var.ssh.key_file == "" ? null : file(pathexpand(var.ssh.key_file))
    agent               = var.ssh.key_file == ""
    host_key            = local.known_hosts
    timeout             = var.ssh.timeout
    script_path         = "${local.stage}.sh"
    bastion_host        = try(var.ssh.bastion.host, null)
    bastion_port        = try(var.ssh.bastion.port, null)
    bastion_user        = try(var.ssh.bastion.user, null)
    bastion_private_key = try(var.ssh.bastion.key_file, "") == "" ? null : file(pathexpand(var.ssh.bastion.key_file))
    bastion_host_key    = local.known_hosts
  }
  provisioner "remote-exec" {
    inline = ["mkdir -p -m 0700 ${local.stage}"]
  }
  provisioner "file" {
    source      = var.binary.file
    destination = "${local.stage}/tmms"
  }
}

# What the node runs: again when the release, a file or the certificate is another. It has
# nothing to destroy, so its replacement is one step. Files are uploaded beside what runs;
# the step itself is taken by one node at a time.
resource "terraform_data" "release" {
  depends_on = [terraform_data.binary]
  triggers_replace = [
    terraform_data.host.id, local.sha256, sha256(local.script),
    filesha256("${var.pki_dir}/${local.name}.crt"), filesha256("${var.pki_dir}/ca.crt"),
    var.tokens_file == "" ? "" : filesha256(var.tokens_file),
  ]
  connection {
    host                = var.ssh.host
    port                = var.ssh.port
    user                = var.ssh.user
    private_key         = var.ssh.key_file == "" ? null : file(pathexpand(var.ssh.key_file))
    agent               = var.ssh.key_file == ""
    host_key            = local.known_hosts
    timeout             = var.ssh.timeout
    script_path         = "${local.stage}.sh"
    bastion_host        = try(var.ssh.bastion.host, null)
    bastion_port        = try(var.ssh.bastion.port, null)
    bastion_user        = try(var.ssh.bastion.user, null)
    bastion_private_key = try(var.ssh.bastion.key_file, "") == "" ? null : file(pathexpand(var.ssh.bastion.key_file))
    bastion_host_key    = local.known_hosts
  }
  provisioner "remote-exec" {
    inline = ["mkdir -p -m 0700 ${local.stage}"]
  }
  provisioner "file" {
    content     = local.script
    destination = "${local.stage}/host.sh"
  }
  provisioner "file" {
    source      = "${var.pki_dir}/${local.name}.crt"
    destination = "${local.stage}/node.crt"
  }
  provisioner "file" {
    source      = "${var.pki_dir}/${local.name}.key"
    destination = "${local.stage}/node.key"
  }
  provisioner "file" {
    source      = "${var.pki_dir}/ca.crt"
    destination = "${local.stage}/ca.crt"
  }
  provisioner "file" {
    source      = "${var.pki_dir}/gossip.key"
    destination = "${local.stage}/gossip.key"
  }
  provisioner "file" {
    source      = coalesce(var.tokens_file, "/dev/null")
    destination = "${local.stage}/tokens.yaml"
  }
  provisioner "file" {
    source      = coalesce(var.api.token_file, "/dev/null")
    destination = "${local.stage}/token"
  }
  provisioner "local-exec" {
    interpreter = ["bash", "${path.module}/turn.sh"]
    command     = "take"
    environment = { NODE = local.name, PATIENCE = local.patience }
  }
  provisioner "remote-exec" {
    inline = [local.become, "become bash ${local.stage}/host.sh"]
  }
  provisioner "local-exec" {
    interpreter = ["bash", "${path.module}/turn.sh"]
    command     = "give"
  }
}
