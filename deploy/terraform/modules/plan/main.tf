# Every name, number and address of a node follows from its region's name and its own
# number alone, so that another node, region or edge moves none of those that run.
locals {
  # The ports of docs/ARCHITECTURE.md; the only ones that are ever open.
  ports = { rtmp = 1935, rtmps = 1936, http = 8080, https = 8443, fabric = 7400, gossip = 7946, admin = 8090 }

  nodes_bare = merge(flatten([for k, r in var.regions : [
    for kind, count in { origin = r.origins, edge = r.edges } : {
      for n in range(1, count + 1) : "${k}-${substr(kind, 0, 1)}${n}" => {
        region = k, kind = kind, index = n, provider = r.provider
        roles  = kind == "edge" ? ["edge"] : r.origins_serve ? ["origin", "edge"] : ["origin"]
        host   = r.provider == "ssh" ? r.hosts["${k}-${substr(kind, 0, 1)}${n}"] : null
        zone   = coalesce(try(r.hosts["${k}-${substr(kind, 0, 1)}${n}"].zone, null), r.zones[(n - 1) % length(r.zones)])
      }
    }
  ]])...)

  # Each zone has an eighth of its region's network. The lower half of that is for fixed
  # nodes: origins from 4 on (a cloud keeps 0 to 3), edges from the half's end down, so
  # that neither's growth moves the other. The upper half is for autoscaled edges.
  subnets = merge([for k, r in var.regions : {
    for i, z in r.zones : "${k}/${z}" => {
      region = k, zone = z, index = i
      cidr   = cidrsubnet(r.cidr, 3, i)
      fixed  = cidrsubnet(r.cidr, 4, 2 * i)
    }
  } if r.provider != "ssh"]...)

  private = { for name, n in local.nodes_bare : name => n.host == null ? cidrhost(
    local.subnets["${n.region}/${n.zone}"].fixed, n.kind == "origin" ? n.index + 3 : -n.index) : coalesce(n.host.private, n.host.address)
  }
  public = merge(
    { for name, n in local.nodes_bare : name => n.host == null ? local.private[name] : n.host.address if n.host != null || n.provider == "local" },
    var.public_addresses,
  )

  nodes = { for name, n in local.nodes_bare : name => {
    name            = name
    region          = n.region
    zone            = n.zone
    kind            = n.kind
    roles           = n.roles
    index           = n.index
    provider        = n.provider
    voter           = contains(local.voter_names, name)
    address         = lookup(var.addresses, name, local.private[name])
    private_address = local.private[name]
    public_address  = lookup(local.public, name, null)
    host            = var.domain == "" ? lookup(local.public, name, null) : contains(keys(local.public), name) ? "${name}.${var.domain}" : null
    subnet_index    = try(local.subnets["${n.region}/${n.zone}"].index, null)
  } }
  edges   = { for name, n in local.nodes : name => n if contains(n.roles, "edge") }
  origins = { for name, n in local.nodes : name => n if contains(n.roles, "origin") }
  dialled = { for name, n in local.nodes : name => strcontains(n.address, ":") ? "[${n.address}]" : n.address }
}
