variable "region" {
  type        = string
  description = "The region's name in the plan."
}

variable "network_zone" {
  type        = string
  default     = "eu-central"
  description = "Hetzner's network zone, which all of the region's locations are in: eu-central, us-east, us-west or ap-southeast."
}

variable "cluster_name" {
  type        = string
  description = "The cluster's name in the plan."
}

variable "zones" {
  type        = map(string)
  description = "modules/plan's output zones: addresses are made from it, so that the plan may name the addresses. A zone is named as its location, such as fsn1."
}

variable "nodes" {
  description = "modules/plan's output nodes; those of other regions are left alone."
  type = map(object({
    name            = string
    region          = string
    zone            = string
    kind            = string
    roles           = list(string)
    index           = number
    voter           = bool
    address         = optional(string)
    private_address = string
    public_address  = optional(string)
    host            = optional(string)
  }))
}

variable "cluster" {
  description = "modules/plan's output cluster."
  type        = object({ name = string, voters = list(string), join = list(string) })
}

variable "cidr" {
  type        = string
  description = "The private network, the region's cidr in the plan."
  validation {
    condition     = can(regex("^(10|172|192)[.][0-9.]+/(1[6-9]|2[0-4])$", var.cidr)) && can(cidrhost(var.cidr, 0))
    error_message = "cidr ${jsonencode(var.cidr)}: want a private IPv4 network of /16 to /24 such as 10.1.0.0/16."
  }
}

variable "subnets" {
  description = "modules/plan's output subnets; those of other regions are left alone."
  type        = map(object({ region = string, zone = string, cidr = string, fixed = string, index = number }))
}

variable "firewall" {
  description = "modules/plan's output firewall."
  type        = list(object({ name = string, protocol = string, port = number, from = string }))
  validation {
    condition     = length([for f in var.firewall : f if !contains(["world", "nodes", "operators"], f.from)]) == 0
    error_message = "firewall ${jsonencode([for f in var.firewall : f if !contains(["world", "nodes", "operators"], f.from)])}: from is world, nodes or operators."
  }
}

variable "nodes_cidrs" {
  type        = list(string)
  default     = []
  description = "Networks of nodes elsewhere that fabric and gossip are let in from, mostly each one's public address/32. Those of this region are."
  validation {
    condition     = length([for c in var.nodes_cidrs : c if !can(cidrhost(c, 0)) || try(tonumber(split("/", c)[1]), 0) < 8]) == 0
    error_message = "nodes_cidrs ${jsonencode([for c in var.nodes_cidrs : c if !can(cidrhost(c, 0)) || try(tonumber(split("/", c)[1]), 0) < 8])}: want networks of /8 or narrower; fabric and gossip are for nodes alone."
  }
}

variable "operators_cidrs" {
  type        = list(string)
  default     = []
  description = "Networks that SSH and the admin API are let in from, IPv4 or IPv6: the operators' and the monitoring host's."
  validation {
    condition     = length([for c in var.operators_cidrs : c if !can(cidrhost(c, 0)) || try(tonumber(split("/", c)[1]), 0) < 8]) == 0
    error_message = "operators_cidrs ${jsonencode([for c in var.operators_cidrs : c if !can(cidrhost(c, 0)) || try(tonumber(split("/", c)[1]), 0) < 8])}: want networks of /8 or narrower; SSH and the admin API are not for the world."
  }
}

variable "image" {
  type        = string
  default     = "debian-12"
  description = "The image, one with cloud-init, systemd and apt. Another one replaces nothing that runs."
}

variable "origin_type" {
  type        = string
  default     = "cpx31"
  description = "Server type of origins."
}

variable "edge_type" {
  type        = string
  default     = "cpx41"
  description = "Server type of edges."
}

variable "data_gb" {
  type        = number
  default     = 20
  description = "GB of an origin's data volume, which outlives the server."
  validation {
    condition     = var.data_gb >= 10 && var.data_gb <= 10240 && floor(var.data_gb) == var.data_gb
    error_message = "data_gb ${var.data_gb}: want a whole number from 10 to 10240."
  }
}

variable "binary" {
  type        = object({ url = string, sha256 = string })
  description = "Where servers fetch tmms from, modules/user-data's binary; url must not be empty."
}

variable "secrets" {
  type        = object({ method = string, command = optional(string, "") })
  default     = { method = "files" }
  description = "How a node gets its certificate and keys, modules/user-data's secrets, the same for all: a command has the node's name in NODE. Hetzner has no store of secrets; with files they are put there by SSH, and install.sh is run again."
}

variable "config" {
  type        = any
  default     = {}
  description = "More of node.yaml for all nodes of the region, modules/user-data's config."
}

variable "tokens" {
  type        = bool
  default     = false
  description = "Whether the admin API wants bearer tokens, of tokens.yaml."
}

variable "admin_listen" {
  type        = string
  default     = "127.0.0.1:8090"
  description = "Where the admin API listens; \":8090\" for operators_cidrs, then tokens must be true."
}

variable "tls_certs" {
  type        = list(object({ cert_file = string, key_file = string }))
  default     = []
  description = "Certificates for viewers and publishers, paths on the host; modules/user-data's tls_certs."
}

variable "ssh_keys" {
  type        = list(string)
  default     = []
  description = "Names or IDs of SSH keys that root has on new servers; none: Hetzner mails a password."
}

variable "logs" {
  type        = object({ command = string, setup = optional(string, ""), files = optional(map(string), {}) })
  default     = null
  description = "Takes the journal to a collector, modules/user-data's logs. null: logs stay in the journal."
}

variable "extra_files" {
  type        = map(string)
  default     = {}
  description = "Further files of cloud-init, path to content, for all nodes. All of user data has 32 KiB."
}

variable "extra_commands" {
  type        = list(string)
  default     = []
  description = "Further shell commands of cloud-init, run after the node is installed."
}

variable "labels" {
  type        = map(string)
  default     = {}
  description = "Further labels of all that is made."
}
