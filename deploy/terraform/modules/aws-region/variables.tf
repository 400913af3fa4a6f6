variable "region" {
  type        = string
  description = "The region's name in the plan; the module's aws provider says which of AWS it is."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.region))
    error_message = "region ${jsonencode(var.region)}: want 1 to 31 of a-z, 0-9 and '-', a letter first."
  }
}

variable "cluster_name" {
  type        = string
  description = "The cluster's name in the plan; by itself, since elastic addresses have it and the plan has their numbers."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.cluster_name))
    error_message = "cluster_name ${jsonencode(var.cluster_name)}: want 1 to 20 of a-z, 0-9 and '-', a letter first."
  }
}

variable "names" {
  type        = list(string)
  description = "modules/plan's output names: elastic addresses are made from them, so that the plan may name the addresses."
}

variable "nodes" {
  description = "modules/plan's output nodes; those of other regions are left alone. A zone is named as its availability zone."
  type = map(object({
    name            = string
    region          = string
    zone            = string
    kind            = string
    roles           = list(string)
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
  description = "The VPC's IPv4 network, the region's cidr in the plan."
  validation {
    condition     = can(regex("^[0-9.]+/(1[6-9]|2[0-4])$", var.cidr)) && can(cidrhost(var.cidr, 0))
    error_message = "cidr ${jsonencode(var.cidr)}: want an IPv4 network of /16 to /24 such as 10.1.0.0/16."
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
  description = "Networks of nodes elsewhere that fabric and gossip are let in from: the other regions' networks with peering, each node's address/32 without. Those of this region are."
  validation {
    condition     = length([for c in var.nodes_cidrs : c if !can(cidrhost(c, 0)) || try(tonumber(split("/", c)[1]), 0) < 8]) == 0
    error_message = "nodes_cidrs ${jsonencode([for c in var.nodes_cidrs : c if !can(cidrhost(c, 0)) || try(tonumber(split("/", c)[1]), 0) < 8])}: want networks of /8 or narrower; fabric and gossip are for nodes alone."
  }
}

variable "operators_cidrs" {
  type        = list(string)
  default     = []
  description = "Networks that the admin API is let in from, IPv4 or IPv6: the operators' and the monitoring host's. With key_name SSH is too."
  validation {
    condition     = length([for c in var.operators_cidrs : c if !can(cidrhost(c, 0)) || try(tonumber(split("/", c)[1]), 0) < 8]) == 0
    error_message = "operators_cidrs ${jsonencode([for c in var.operators_cidrs : c if !can(cidrhost(c, 0)) || try(tonumber(split("/", c)[1]), 0) < 8])}: want networks of /8 or narrower; the admin API is not for the world."
  }
}

variable "ami" {
  type        = string
  default     = ""
  description = "The image, one with cloud-init, systemd, apt and NVMe such as Debian's; empty: Debian 12 of the instances' architecture as it is now. A newer one replaces nothing that runs."
  validation {
    condition     = var.ami == "" || can(regex("^ami-[0-9a-f]{8,17}$", var.ami))
    error_message = "ami ${jsonencode(var.ami)}: want ami- and 8 to 17 hexadecimal digits, or nothing."
  }
}

variable "architecture" {
  type        = string
  default     = "amd64"
  description = "amd64 or arm64; the binary's, the instance types' and the image's."
  validation {
    condition     = contains(["amd64", "arm64"], var.architecture)
    error_message = "architecture ${jsonencode(var.architecture)}: want amd64 or arm64."
  }
}

variable "origin_type" {
  type        = string
  default     = "c6i.xlarge"
  description = "Instance type of origins; one with NVMe disks (Nitro)."
}

variable "edge_type" {
  type        = string
  default     = "c6in.xlarge"
  description = "Instance type of edges."
}

variable "data_gb" {
  type        = number
  default     = 20
  description = "GiB of an origin's data volume, encrypted, which outlives the instance."
  validation {
    condition     = var.data_gb >= 1 && var.data_gb <= 16384 && floor(var.data_gb) == var.data_gb
    error_message = "data_gb ${var.data_gb}: want a whole number from 1 to 16384."
  }
}

variable "kms_key_arn" {
  type        = string
  default     = ""
  description = "A key of yours for volumes and parameters; empty: AWS's own."
  validation {
    condition     = var.kms_key_arn == "" || startswith(var.kms_key_arn, "arn:")
    error_message = "kms_key_arn ${jsonencode(var.kms_key_arn)}: want an ARN."
  }
}

variable "binary" {
  description = "Where instances fetch tmms from, modules/user-data's binary; url must not be empty."
  type        = object({ url = string, sha256 = string })
  validation {
    condition     = can(regex("^https?://", var.binary.url))
    error_message = "binary.url ${jsonencode(var.binary.url)}: want an http or https URL; an instance has no other way to it."
  }
}

variable "config" {
  type        = any
  default     = {}
  description = "More of node.yaml for all nodes of the region, modules/user-data's config."
}

variable "tokens" {
  type        = bool
  default     = false
  description = "Whether the admin API wants bearer tokens; push-secrets.sh brings tokens.yaml."
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

variable "autoscaled" {
  type        = object({ min = number, max = number })
  default     = null
  description = "Further edges that come and go, the region's autoscaled in the plan; null: none."
  validation {
    condition     = try(var.autoscaled.min >= 0 && var.autoscaled.min <= var.autoscaled.max && var.autoscaled.max <= 200, var.autoscaled == null)
    error_message = "autoscaled ${jsonencode(var.autoscaled)}: want 0 <= min <= max <= 200."
  }
}

variable "issuer" {
  type        = bool
  default     = false
  description = "Whether the region's origins have issuer.key, of \"tmms cert issuer\", and give certificates by it to nodes that have a join token: those of some region must, where any has autoscaled edges. push-secrets.sh brings it."
}

variable "edge_target_gbps" {
  type        = number
  default     = 3
  description = "Gbit/s an autoscaled edge sends on average when another one is started."
  validation {
    condition     = var.edge_target_gbps > 0 && var.edge_target_gbps <= 400
    error_message = "edge_target_gbps ${var.edge_target_gbps}: want more than 0, at most 400."
  }
}

variable "drain_seconds" {
  type        = number
  default     = 120
  description = "How long AWS waits at most for an autoscaled edge to drain before it is ended."
  validation {
    condition     = var.drain_seconds >= 30 && var.drain_seconds <= 7200
    error_message = "drain_seconds ${var.drain_seconds}: want 30 to 7200."
  }
}

variable "load_balancer" {
  type        = bool
  default     = false
  description = "Whether a network load balancer stands in front of the region's edges, autoscaled ones too."
}

variable "key_name" {
  type        = string
  default     = ""
  description = "A key pair of the region for SSH, then port 22 is let in from operators_cidrs; empty: no SSH."
}

variable "instance_policies" {
  type        = list(string)
  default     = []
  description = "ARNs of further policies for the instances, such as AmazonSSMManagedInstanceCore for shells by Session Manager or one for shipping logs."
}

variable "logs" {
  type        = object({ command = string, setup = optional(string, ""), files = optional(map(string), {}) })
  default     = null
  description = "Takes the journal to a collector, modules/user-data's logs; instance_policies is what the shipper may do. null: logs stay in the journal."
}

variable "extra_files" {
  type        = map(string)
  default     = {}
  description = "Further files of cloud-init, path to content, for all nodes. All of user data has 16 KiB, compressed."
}

variable "extra_commands" {
  type        = list(string)
  default     = []
  description = "Further shell commands of cloud-init, run after the node is installed."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Further tags of all that is made."
}
