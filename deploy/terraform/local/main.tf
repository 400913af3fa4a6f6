module "plan" {
  source        = "../modules/plan"
  cluster       = var.cluster
  regions       = { for k, r in var.regions : k => merge(r, { provider = "local" }) }
  voters        = var.voters
  pinned_voters = var.pinned_voters
}

module "host" {
  source   = "../modules/user-data"
  for_each = module.plan.nodes
  node     = each.value
  cluster  = module.plan.cluster
  binary   = { sha256 = filesha256(var.tmms) }
  config   = var.config
  init     = "none"
  root     = "${var.folder}/nodes/${each.key}"
}

locals {
  script = "${path.module}/local.sh"

  # What every call of the script is told. A destroy knows nothing but its own input.
  common = { CLUSTER = var.cluster, FOLDER = var.folder }

  names = sort(keys(var.regions))
  pairs = merge([for i, a in local.names : { for b in slice(local.names, i + 1, length(local.names)) : "${a}/${b}" => [a, b] }]...)

  # A node is brought up to date when one of these changes; its certificate is none of them.
  releases = { for name, host in module.host : name => sha256(jsonencode(host.files)) }
  install = { for name, node in module.plan.nodes : name => merge(local.common, {
    NODE    = name, ROLES = join(",", node.roles), TMMS = abspath(var.tmms), DRAIN = var.drain_wait
    INSTALL = "${module.host[name].paths.lib}/install.sh"
    FILES   = join("\n", [for path, content in module.host[name].files : "${path} ${base64encode(content)}"])
  }) }
  voters = { for name, node in module.plan.nodes : name => node if node.voter }
  others = { for name, node in module.plan.nodes : name => node if !node.voter }
}

# The folder, and in it the cluster's CA.
resource "terraform_data" "folder" {
  input = merge(local.common, { TMMS = abspath(var.tmms) })
  provisioner "local-exec" {
    command     = "${path.module}/local.sh folder"
    environment = self.input
  }
  provisioner "local-exec" {
    when        = destroy
    command     = "${path.module}/local.sh no-folder"
    environment = self.input
  }
}

# A region is a namespace with a bridge in it, which is also its router.
resource "terraform_data" "region" {
  for_each   = var.regions
  depends_on = [terraform_data.folder]
  input      = merge(local.common, { REGION = each.key, CIDR = each.value.cidr })
  provisioner "local-exec" {
    command     = "${path.module}/local.sh region"
    environment = self.input
  }
  provisioner "local-exec" {
    when        = destroy
    command     = "${path.module}/local.sh no-region"
    environment = self.input
  }
}

# Two regions are linked by a process that gives packets their delay.
resource "terraform_data" "link" {
  for_each = local.pairs
  input = merge(local.common, {
    A      = each.value[0], CIDR_A = terraform_data.region[each.value[0]].output.CIDR
    B      = each.value[1], CIDR_B = terraform_data.region[each.value[1]].output.CIDR
    DEVICE = "x${substr(md5(each.key), 0, 10)}", DELAY = var.delay, BENCH = abspath(var.bench)
  })
  triggers_replace = [var.delay]
  provisioner "local-exec" {
    command     = "${path.module}/local.sh link"
    environment = self.input
  }
  provisioner "local-exec" {
    when        = destroy
    command     = "${path.module}/local.sh no-link"
    environment = self.input
  }
}

# A node's namespace and its place in the network. When it goes, the node is drained,
# ended and its data removed with it.
resource "terraform_data" "node" {
  for_each   = module.plan.nodes
  depends_on = [terraform_data.link]
  input = merge(local.common, {
    NODE    = each.key, REGION = each.value.region, TMMS = abspath(var.tmms)
    ADDRESS = each.value.address, CIDR = terraform_data.region[each.value.region].output.CIDR
    DEVICE  = "n${substr(md5(each.key), 0, 10)}"
  })
  provisioner "local-exec" {
    command     = "${path.module}/local.sh node"
    environment = self.input
  }
  provisioner "local-exec" {
    when        = destroy
    command     = "${path.module}/local.sh no-node"
    environment = self.input
  }
}

# What goes before all nodes do: then they need not wait for each other.
resource "terraform_data" "whole" {
  depends_on = [terraform_data.node]
  input      = local.common
  provisioner "local-exec" {
    command     = "${path.module}/local.sh beginning"
    environment = self.input
  }
  provisioner "local-exec" {
    when        = destroy
    command     = "${path.module}/local.sh ending"
    environment = self.input
  }
}

# The release that a node runs. It has nothing to destroy, so that a replacement is one
# step: the script lets only one node at a time be down, and the voters come first.
resource "terraform_data" "voter" {
  for_each         = local.voters
  triggers_replace = [local.releases[each.key]]
  provisioner "local-exec" {
    command     = "${local.script} install"
    environment = local.install[each.key]
  }
  lifecycle {
    replace_triggered_by = [terraform_data.node[each.key]]
  }
}

resource "terraform_data" "other" {
  for_each         = local.others
  depends_on       = [terraform_data.voter]
  triggers_replace = [local.releases[each.key]]
  provisioner "local-exec" {
    command     = "${local.script} install"
    environment = local.install[each.key]
  }
  lifecycle {
    replace_triggered_by = [terraform_data.node[each.key]]
  }
}

# The apply is over when every node is ready.
resource "terraform_data" "ready" {
  triggers_replace = { for name, release in merge(terraform_data.voter, terraform_data.other) : name => release.id }
  provisioner "local-exec" {
    command     = "${local.script} ready"
    environment = merge(local.common, { ALL = join(" ", keys(module.plan.nodes)) })
  }
}

# New certificates, for nodes that run; a new node gets its one when it is installed.
resource "terraform_data" "certificates" {
  depends_on       = [terraform_data.ready]
  triggers_replace = [var.certificates]
  provisioner "local-exec" {
    command     = "${local.script} certificates"
    environment = merge(local.common, { EDITION = var.certificates, TMMS = abspath(var.tmms) })
  }
}

resource "terraform_data" "domains" {
  count            = var.domains == "" ? 0 : 1
  depends_on       = [terraform_data.ready]
  triggers_replace = [filesha256(var.domains)]
  provisioner "local-exec" {
    command     = "${local.script} domains"
    environment = merge(local.common, { DOMAINS = abspath(var.domains), TMMS = abspath(var.tmms) })
  }
}
