variable "zone_id" {
  type        = string
  description = "The Route 53 zone that the plan's domain is in."
}

variable "records" {
  description = "modules/plan's output dns."
  type = list(object({
    name           = string
    type           = string
    ttl            = optional(number)
    policy         = string
    region         = string
    latency_region = optional(string)
    node           = optional(string)
    records        = list(string)
    alias          = optional(string)
    health         = optional(object({ port = number, path = string, protocol = string }))
  }))
  validation {
    condition     = length([for r in var.records : r.policy if !contains(["simple", "multivalue", "latency"], r.policy)]) == 0
    error_message = "records: policies ${jsonencode(distinct([for r in var.records : r.policy if !contains(["simple", "multivalue", "latency"], r.policy)]))}: want simple, multivalue or latency."
  }
}

variable "ipv6" {
  type        = map(string)
  default     = {}
  description = "Node name to its IPv6 address: each gets AAAA records beside its A records."
}

variable "load_balancers" {
  type        = map(object({ name = string, zone_id = string }))
  default     = {}
  description = "Region to modules/aws-region's load_balancer: edge.DOMAIN leads there in that region, not to the nodes one by one."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags of the health checks."
}
