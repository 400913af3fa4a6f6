variable "cluster_name" {
  type        = string
  description = "The cluster's name in the plan."
}

variable "nodes" {
  type        = map(object({ name = string, region = string, kind = string, private_address = string }))
  description = "modules/plan's output nodes; those of other regions are reached by peering."
}

variable "addresses" {
  type        = map(string)
  default     = {}
  description = "Node name to the address at which the host reaches it, where that is not the private one; modules/monitoring's addresses."
}

variable "autoscaled" {
  type        = list(string)
  default     = []
  description = "AWS regions with autoscaled edges of the cluster, modules/monitoring's autoscaled."
}

variable "peer" {
  description = "The region that the host stands in, modules/aws-region's output peer; the provider is that region's."
  type        = object({ vpc_id = string, cidr = string, region = string, route_tables = map(string) })
}

variable "cidr" {
  type        = string
  description = "That region's cidr in the plan, by itself, since the output address follows from it alone. The host has its last /28: the region must have no more than 7 zones there."
  validation {
    condition     = can(regex("^[0-9.]+/(1[6-9]|2[0-4])$", var.cidr)) && can(cidrhost(var.cidr, 0))
    error_message = "cidr ${jsonencode(var.cidr)}: want an IPv4 network of /16 to /24 such as 10.1.0.0/16."
  }
}

variable "zone" {
  type        = string
  description = "The availability zone that the host stands in."
}

variable "operators_cidrs" {
  type        = list(string)
  default     = []
  description = "Networks that SSH is let in from, with key_name, IPv4 or IPv6; a tunnel leads to Prometheus and Grafana, and nothing else is let in."
  validation {
    condition     = length([for c in var.operators_cidrs : c if !can(cidrhost(c, 0)) || try(tonumber(split("/", c)[1]), 0) < 8]) == 0
    error_message = "operators_cidrs ${jsonencode([for c in var.operators_cidrs : c if !can(cidrhost(c, 0)) || try(tonumber(split("/", c)[1]), 0) < 8])}: want networks of /8 or narrower."
  }
}

variable "key_name" {
  type        = string
  default     = ""
  description = "A key pair of the region for SSH; empty: no SSH."
}

variable "grafana" {
  type        = object({ url = string, sha256 = string })
  default     = null
  description = "Where the host fetches Grafana from, modules/monitoring's grafana; null: Prometheus alone."
}

variable "alertmanagers" {
  type        = list(string)
  default     = []
  description = "Where alerts are sent, HOST:PORT of each Alertmanager."
}

variable "retention" {
  type        = string
  default     = "30d"
  description = "How long Prometheus keeps what it has scraped, as far as three quarters of the disk reach."
}

variable "disk_gb" {
  type        = number
  default     = 30
  description = "GiB of the host's disk, encrypted; it goes with the instance."
  validation {
    condition     = var.disk_gb >= 12 && var.disk_gb <= 16384 && floor(var.disk_gb) == var.disk_gb
    error_message = "disk_gb ${var.disk_gb}: want a whole number from 12 to 16384."
  }
}

variable "ami" {
  type        = string
  description = "The image, Debian 12's; a newer one does not replace the host, -replace does."
  validation {
    condition     = can(regex("^ami-[0-9a-f]{8,17}$", var.ami))
    error_message = "ami ${jsonencode(var.ami)}: want ami- and 8 to 17 hexadecimal digits."
  }
}

variable "instance_type" {
  type        = string
  default     = "t3.medium"
  description = "The host's instance type, of the image's architecture and of Grafana's."
}

variable "kms_key_arn" {
  type        = string
  default     = ""
  description = "A key of yours for the disk and the parameters; empty: AWS's own."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Further tags of all that is made."
}
