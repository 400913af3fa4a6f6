variable "cluster" {
  type        = string
  description = "The cluster's name; it is part of the names and tags of what is made."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.cluster))
    error_message = "cluster ${jsonencode(var.cluster)}: want 1 to 20 of a-z, 0-9 and '-', a letter first."
  }
}

variable "domain" {
  type        = string
  default     = ""
  description = "The DNS zone of the names that clients use, such as live.example.com; empty: no DNS records."
  validation {
    condition     = var.domain == "" || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]*[a-z0-9]$", var.domain)) && length(var.domain) <= 180
    error_message = "domain ${jsonencode(var.domain)}: want a name of at most 180 characters in lower case with a dot in it and none at its end."
  }
}

variable "regions" {
  description = "The regions by their names, as node.region has them. Hosts of provider ssh go by their nodes' names: a host belongs to one node, whatever else comes or goes."
  type = map(object({
    provider       = string
    zones          = optional(list(string), ["a"])
    cidr           = optional(string)
    origins        = optional(number, 0)
    edges          = optional(number, 0)
    origins_serve  = optional(bool, false)
    hosts          = optional(map(object({ address = string, zone = optional(string), private = optional(string) })), {})
    autoscaled     = optional(object({ min = number, max = number }))
    origin_gbps    = optional(number, 10)
    edge_gbps      = optional(number, 10)
    edge_cores     = optional(number, 4)
    price          = optional(string)
    latency_region = optional(string)
  }))

  validation {
    condition     = length(var.regions) >= 1 && length(var.regions) <= 32
    error_message = "${length(var.regions)} regions: want 1 to 32."
  }
  validation {
    condition     = length([for k in keys(var.regions) : k if !can(regex("^[a-z][a-z0-9-]{0,30}$", k))]) == 0
    error_message = "regions ${jsonencode([for k in keys(var.regions) : k if !can(regex("^[a-z][a-z0-9-]{0,30}$", k))])}: want 1 to 31 of a-z, 0-9 and '-' as a name, a letter first."
  }
  validation {
    condition     = length({ for k, r in var.regions : k => r.provider if !contains(["aws", "ssh", "hcloud", "local"], r.provider) }) == 0
    error_message = "provider ${jsonencode({ for k, r in var.regions : k => r.provider if !contains(["aws", "ssh", "hcloud", "local"], r.provider) })}: want aws, ssh, hcloud or local."
  }
  validation {
    condition     = length({ for k, r in var.regions : k => r.origins if r.origins < 0 || r.origins > 20 || floor(r.origins) != r.origins }) == 0
    error_message = "origins ${jsonencode({ for k, r in var.regions : k => r.origins if r.origins < 0 || r.origins > 20 || floor(r.origins) != r.origins })}: want a whole number from 0 to 20."
  }
  validation {
    condition     = length({ for k, r in var.regions : k => r.edges if r.edges < 0 || r.edges > 200 || floor(r.edges) != r.edges }) == 0
    error_message = "edges ${jsonencode({ for k, r in var.regions : k => r.edges if r.edges < 0 || r.edges > 200 || floor(r.edges) != r.edges })}: want a whole number from 0 to 200."
  }
  validation {
    condition     = length({ for k, r in var.regions : k => r.autoscaled if r.autoscaled != null && !try(0 <= r.autoscaled.min && r.autoscaled.min <= r.autoscaled.max && r.autoscaled.max <= 200 && floor(r.autoscaled.min) == r.autoscaled.min && floor(r.autoscaled.max) == r.autoscaled.max, false) }) == 0
    error_message = "autoscaled ${jsonencode({ for k, r in var.regions : k => r.autoscaled if r.autoscaled != null && !try(0 <= r.autoscaled.min && r.autoscaled.min <= r.autoscaled.max && r.autoscaled.max <= 200 && floor(r.autoscaled.min) == r.autoscaled.min && floor(r.autoscaled.max) == r.autoscaled.max, false) })}: want whole numbers, 0 <= min <= max <= 200."
  }
  validation {
    condition     = length({ for k, r in var.regions : k => r.zones if !(length(r.zones) >= 1 && length(r.zones) <= 8 && length(distinct(r.zones)) == length(r.zones) && alltrue([for z in r.zones : can(regex("^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,30}$", z))])) }) == 0
    error_message = "zones ${jsonencode({ for k, r in var.regions : k => r.zones if !(length(r.zones) >= 1 && length(r.zones) <= 8 && length(distinct(r.zones)) == length(r.zones) && alltrue([for z in r.zones : can(regex("^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,30}$", z))])) })}: want 1 to 8 of 1 to 31 letters, digits, '-', '_' or '.', not first a dot, none twice."
  }
  validation {
    condition     = length({ for k, r in var.regions : k => r.cidr if r.provider != "ssh" && !(can(regex("^[0-9.]+/(1[6-9]|2[0-4])$", r.cidr)) && try(cidrsubnet(r.cidr, 0, 0) == r.cidr, false)) }) == 0
    error_message = "cidr ${jsonencode({ for k, r in var.regions : k => r.cidr if r.provider != "ssh" && !(can(regex("^[0-9.]+/(1[6-9]|2[0-4])$", r.cidr)) && try(cidrsubnet(r.cidr, 0, 0) == r.cidr, false)) })}: want an IPv4 network of /16 to /24 such as 10.1.0.0/16 where the provider is not ssh."
  }
  validation {
    condition     = length(flatten([for i, x in values(var.regions) : [for y in slice(values(var.regions), i + 1, length(var.regions)) : "${x.cidr} and ${y.cidr}" if try(cidrhost("${split("/", x.cidr)[0]}/${min(split("/", x.cidr)[1], split("/", y.cidr)[1])}", 0) == cidrhost("${split("/", y.cidr)[0]}/${min(split("/", x.cidr)[1], split("/", y.cidr)[1])}", 0), false)]])) == 0
    error_message = "cidr ${jsonencode(flatten([for i, x in values(var.regions) : [for y in slice(values(var.regions), i + 1, length(var.regions)) : "${x.cidr} and ${y.cidr}" if try(cidrhost("${split("/", x.cidr)[0]}/${min(split("/", x.cidr)[1], split("/", y.cidr)[1])}", 0) == cidrhost("${split("/", y.cidr)[0]}/${min(split("/", x.cidr)[1], split("/", y.cidr)[1])}", 0), false)]]))}: want networks apart, they are routed to each other."
  }
  validation {
    condition     = length({ for k, r in var.regions : k => "${r.cidr} has room for ${pow(2, 28 - tonumber(split("/", r.cidr)[1])) - 4} nodes, not ${r.origins + r.edges}" if r.provider != "ssh" && try(r.origins + r.edges > pow(2, 28 - tonumber(split("/", r.cidr)[1])) - 4, false) }) == 0
    error_message = "cidr ${jsonencode({ for k, r in var.regions : k => "${r.cidr} has room for ${pow(2, 28 - tonumber(split("/", r.cidr)[1])) - 4} nodes, not ${r.origins + r.edges}" if r.provider != "ssh" && try(r.origins + r.edges > pow(2, 28 - tonumber(split("/", r.cidr)[1])) - 4, false) })}: want a wider network; a sixteenth of it, less 4, is for fixed nodes of a zone."
  }
  validation {
    condition     = length(flatten([for k, r in var.regions : setsubtract(r.provider != "ssh" ? [] : concat([for n in range(1, r.origins + 1) : "${k}-o${n}"], [for n in range(1, r.edges + 1) : "${k}-e${n}"]), keys(r.hosts))])) == 0
    error_message = "hosts ${jsonencode(flatten([for k, r in var.regions : setsubtract(r.provider != "ssh" ? [] : concat([for n in range(1, r.origins + 1) : "${k}-o${n}"], [for n in range(1, r.edges + 1) : "${k}-e${n}"]), keys(r.hosts))]))}: missing; want a host for each origin and edge of a region whose provider is ssh, by the node's name."
  }
  validation {
    condition     = length(flatten([for k, r in var.regions : setsubtract(keys(r.hosts), r.provider != "ssh" ? [] : concat([for n in range(1, r.origins + 1) : "${k}-o${n}"], [for n in range(1, r.edges + 1) : "${k}-e${n}"]))])) == 0
    error_message = "hosts ${jsonencode(flatten([for k, r in var.regions : setsubtract(keys(r.hosts), r.provider != "ssh" ? [] : concat([for n in range(1, r.origins + 1) : "${k}-o${n}"], [for n in range(1, r.edges + 1) : "${k}-e${n}"]))]))}: no nodes of their regions, or the provider is not ssh; want REGION-o1 to REGION-oN and REGION-e1 to REGION-eN."
  }
  validation {
    condition     = length(merge([for r in values(var.regions) : { for name, h in r.hosts : name => h if !can(regex(var.domain == "" ? "^[0-9A-Za-z][0-9A-Za-z.:-]{0,252}$" : "^([0-9]{1,3}([.][0-9]{1,3}){3})$", h.address)) || !can(regex("^[0-9A-Za-z][0-9A-Za-z.:-]{0,252}$", h.private == null ? "a" : h.private)) }]...)) == 0
    error_message = "hosts ${jsonencode(merge([for r in values(var.regions) : { for name, h in r.hosts : name => h if !can(regex(var.domain == "" ? "^[0-9A-Za-z][0-9A-Za-z.:-]{0,252}$" : "^([0-9]{1,3}([.][0-9]{1,3}){3})$", h.address)) || !can(regex("^[0-9A-Za-z][0-9A-Za-z.:-]{0,252}$", h.private == null ? "a" : h.private)) }]...))}: want an address or a name without port or brackets; an IPv4 address where there is a domain, its records need it."
  }
  validation {
    condition     = length({ for a, names in transpose(merge([for r in values(var.regions) : { for name, h in r.hosts : name => [h.address] }]...)) : a => sort(names) if length(names) > 1 }) == 0
    error_message = "hosts ${jsonencode({ for a, names in transpose(merge([for r in values(var.regions) : { for name, h in r.hosts : name => [h.address] }]...)) : a => sort(names) if length(names) > 1 })}: one address for several nodes; want a host for each."
  }
  validation {
    condition     = length(merge([for r in values(var.regions) : { for name, h in r.hosts : name => h.zone if h.zone != null && !contains(r.zones, h.zone == null ? "" : h.zone) }]...)) == 0
    error_message = "hosts ${jsonencode(merge([for r in values(var.regions) : { for name, h in r.hosts : name => h.zone if h.zone != null && !contains(r.zones, h.zone == null ? "" : h.zone) }]...))}: want a zone that its region has."
  }
  validation {
    condition     = length({ for k, r in var.regions : k => { origin_gbps = r.origin_gbps, edge_gbps = r.edge_gbps, edge_cores = r.edge_cores } if r.origin_gbps <= 0 || r.edge_gbps <= 0 || r.edge_cores < 1 }) == 0
    error_message = "${jsonencode({ for k, r in var.regions : k => { origin_gbps = r.origin_gbps, edge_gbps = r.edge_gbps, edge_cores = r.edge_cores } if r.origin_gbps <= 0 || r.edge_gbps <= 0 || r.edge_cores < 1 })}: want origin_gbps and edge_gbps above 0 and edge_cores of at least 1."
  }
}

variable "voters" {
  type        = number
  default     = 3
  description = "Origins that vote in the raft group: 1, 3 or 5."
  validation {
    condition     = contains([1, 3, 5], var.voters)
    error_message = "voters ${var.voters}: want 1, 3 or 5."
  }
  validation {
    condition     = length(var.pinned_voters) > 0 || var.voters <= sum(concat([0], values(var.regions)[*].origins))
    error_message = "voters ${var.voters}: the plan has ${sum(concat([0], values(var.regions)[*].origins))} origins, want at least as many."
  }
}

variable "pinned_voters" {
  type        = list(string)
  default     = []
  description = "The voters' names once the group is bootstrapped, so that a new region moves nothing: the output voter_names. Empty: chosen."
  validation {
    condition     = contains([0, 1, 3, 5], length(var.pinned_voters)) && length(distinct(var.pinned_voters)) == length(var.pinned_voters)
    error_message = "pinned_voters ${jsonencode(var.pinned_voters)}: want none, 1, 3 or 5, none twice."
  }
  validation {
    condition     = length(setsubtract(var.pinned_voters, flatten([for k, r in var.regions : [for n in range(1, r.origins + 1) : "${k}-o${n}"]]))) == 0
    error_message = "pinned_voters ${jsonencode(setsubtract(var.pinned_voters, flatten([for k, r in var.regions : [for n in range(1, r.origins + 1) : "${k}-o${n}"]])))}: no origins of the plan; give the group another voter before one goes."
  }
}

variable "addresses" {
  type        = map(string)
  default     = {}
  description = "Node name to the address at which other nodes reach it, over the planned one; such as elastic addresses in a hybrid plan."
  validation {
    condition     = length(setsubtract(keys(var.addresses), flatten([for k, r in var.regions : concat([for n in range(1, r.origins + 1) : "${k}-o${n}"], [for n in range(1, r.edges + 1) : "${k}-e${n}"])]))) == 0
    error_message = "addresses ${jsonencode(setsubtract(keys(var.addresses), flatten([for k, r in var.regions : concat([for n in range(1, r.origins + 1) : "${k}-o${n}"], [for n in range(1, r.edges + 1) : "${k}-e${n}"])])))}: no nodes of the plan."
  }
}

variable "public_addresses" {
  type        = map(string)
  default     = {}
  description = "Node name to the address at which viewers and publishers reach it; hosts of ssh have theirs."
  validation {
    condition     = length(setsubtract(keys(var.public_addresses), flatten([for k, r in var.regions : concat([for n in range(1, r.origins + 1) : "${k}-o${n}"], [for n in range(1, r.edges + 1) : "${k}-e${n}"])]))) == 0
    error_message = "public_addresses ${jsonencode(setsubtract(keys(var.public_addresses), flatten([for k, r in var.regions : concat([for n in range(1, r.origins + 1) : "${k}-o${n}"], [for n in range(1, r.edges + 1) : "${k}-e${n}"])])))}: no nodes of the plan."
  }
}

variable "viewer_mbps" {
  type        = number
  default     = 2
  description = "What a viewer takes on average, in Mbit/s; for capacity and cost."
  validation {
    condition     = var.viewer_mbps >= 0.05 && var.viewer_mbps <= 200
    error_message = "viewer_mbps ${var.viewer_mbps}: want 0.05 to 200."
  }
}

variable "prices" {
  description = "US dollars by provider, or by another key that a region's price names: a GB (10^9 bytes) to the Internet, a host a month. Edit them: these are rough list prices of 2025-06."
  type        = map(object({ egress_gb = number, host_month = number }))
  default = {
    aws    = { egress_gb = 0.09, host_month = 125 }
    hcloud = { egress_gb = 0.0012, host_month = 30 }
    ssh    = { egress_gb = 0.001, host_month = 100 }
    local  = { egress_gb = 0, host_month = 0 }
  }
  validation {
    condition     = alltrue([for p in values(var.prices) : p.egress_gb >= 0 && p.host_month >= 0])
    error_message = "prices ${jsonencode([for p in values(var.prices) : p if p.egress_gb < 0 || p.host_month < 0])}: want 0 or more."
  }
  validation {
    condition     = length({ for k, r in var.regions : k => coalesce(r.price, r.provider) if !contains(keys(var.prices), coalesce(r.price, r.provider)) }) == 0
    error_message = "prices: regions ${jsonencode({ for k, r in var.regions : k => coalesce(r.price, r.provider) if !contains(keys(var.prices), coalesce(r.price, r.provider)) })} name none of ${jsonencode(keys(var.prices))}."
  }
}
