variable "cluster" {
  type        = string
  default     = "tmms-local"
  description = "The cluster's name, with which the names of its network namespaces begin."
}

variable "regions" {
  description = "The regions, as modules/plan takes them, with local as provider."
  type = map(object({
    cidr          = string
    zones         = optional(list(string), ["a", "b"])
    origins       = optional(number, 0)
    edges         = optional(number, 0)
    origins_serve = optional(bool, false)
  }))
  default = {
    eu = { cidr = "10.81.0.0/16", origins = 2, edges = 2 }
    us = { cidr = "10.82.0.0/16", origins = 1, edges = 2 }
  }
  validation {
    condition     = length([for k in keys(var.regions) : k if length(k) > 12]) == 0
    error_message = "regions ${jsonencode([for k in keys(var.regions) : k if length(k) > 12])}: want names of at most 12 characters."
  }
}

variable "voters" {
  type        = number
  default     = 3
  description = "Origins that vote in the raft group: 1, 3 or 5."
}

variable "pinned_voters" {
  type        = list(string)
  default     = []
  description = "The voters' names once the group is bootstrapped: the output voter_names."
}

variable "delay" {
  type        = string
  default     = "20ms"
  description = "How long a packet takes from one region to another."
  validation {
    condition     = can(regex("^[0-9]{1,4}ms$", var.delay))
    error_message = "delay ${jsonencode(var.delay)}: want 0ms to 9999ms."
  }
}

variable "tmms" {
  type        = string
  description = "The path of the binary that the nodes run; another content replaces them one by one."
}

variable "bench" {
  type        = string
  description = "The path of tmms-bench, which carries packets between the regions."
}

variable "drain_wait" {
  type        = string
  default     = "30s"
  description = "How long a node that is brought up to date waits for its publishers and viewers to leave."
  validation {
    condition     = can(regex("^[0-9]{1,4}s$", var.drain_wait))
    error_message = "drain_wait ${jsonencode(var.drain_wait)}: want 0s to 9999s."
  }
}

variable "folder" {
  type        = string
  default     = "/var/tmp/tmms-local"
  description = "Where everything is kept that runs: a folder of its own, which goes with the cluster."
  validation {
    condition     = can(regex("^/[A-Za-z0-9/_.-]*[A-Za-z0-9]$", var.folder))
    error_message = "folder ${jsonencode(var.folder)}: want an absolute path of letters, digits, '-', '_' and '.'."
  }
}

variable "certificates" {
  type        = number
  default     = 1
  description = "The edition of the certificates: a higher number gives every node a new one, without a restart."
  validation {
    condition     = var.certificates >= 1 && floor(var.certificates) == var.certificates
    error_message = "certificates ${var.certificates}: want a whole number from 1 on."
  }
}

variable "domains" {
  type        = string
  default     = ""
  description = "The path of domains.yaml, applied to the cluster whenever it changes; empty: left to tmms apply."
}

variable "config" {
  type        = any
  default     = {}
  description = "More of every node's node.yaml, as modules/user-data takes it."
}
