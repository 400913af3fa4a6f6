module "plan" {
  source  = "../../modules/plan"
  cluster = var.cluster
  regions = { (var.region) = {
    provider      = "ssh"
    zones         = distinct(values(var.servers)[*].zone)
    origins       = length(var.servers)
    origins_serve = true
    hosts         = { for name, s in var.servers : name => { address = s.address, private = s.private, zone = s.zone } }
  } }
  pinned_voters = var.pinned_voters
}

module "host" {
  source     = "../../modules/ssh-host"
  for_each   = var.servers
  node       = module.plan.nodes[each.key]
  cluster    = module.plan.cluster
  pki_dir    = var.pki_dir
  binary     = { file = var.tmms }
  config     = var.config
  drain_wait = var.drain_wait
  init       = var.root == "" ? "systemd" : "none"
  root       = var.root == "" ? "" : "${var.root}/${each.key}"
  host_key   = each.value.host_key
  ssh = {
    host     = coalesce(each.value.ssh_host, each.value.address)
    port     = each.value.ssh_port
    user     = var.ssh_user
    key_file = var.ssh_key_file
    bastion  = each.value.bastion
  }
}

# The apply is over when every node is ready. It is not the module's step, since the first
# voters are ready only together.
resource "terraform_data" "ready" {
  for_each         = var.servers
  depends_on       = [module.host]
  triggers_replace = [module.host[each.key].release]
  connection {
    host                = coalesce(each.value.ssh_host, each.value.address)
    port                = each.value.ssh_port
    user                = var.ssh_user
    private_key         = var.ssh_key_file == "" ? null : file(pathexpand(var.ssh_key_file))
    agent               = var.ssh_key_file == ""
    host_key            = module.host[each.key].known_hosts
    timeout             = "2m"
    script_path         = "./.tmms-${each.key}.sh"
    bastion_host        = try(each.value.bastion.host, null)
    bastion_port        = try(each.value.bastion.port, null)
    bastion_user        = try(each.value.bastion.user, null)
    bastion_private_key = try(each.value.bastion.key_file, "") == "" ? null : file(pathexpand(each.value.bastion.key_file))
    bastion_host_key    = module.host[each.key].known_hosts
  }
  provisioner "remote-exec" {
    inline = ["curl -fsS --retry 120 --retry-delay 1 --retry-all-errors --retry-max-time 120 -m 5 -o /dev/null http://127.0.0.1:8090/readyz"]
  }
}
