variable "cluster" {
  type        = string
  default     = "live"
  description = "The cluster's name."
}

variable "domain" {
  type        = string
  description = "The names' DNS zone, one that Route 53 has."
}

variable "zone_id" {
  type        = string
  description = "That zone's ID."
}

variable "aws_regions" {
  type        = object({ eu = string, us = string })
  default     = { eu = "eu-central-1", us = "us-east-1" }
  description = "Which regions of AWS the two are."
}

variable "binary" {
  type        = object({ url = string, sha256 = string })
  description = "Where instances fetch tmms from, and its SHA-256."
}

variable "amis" {
  type        = object({ eu = optional(string, ""), us = optional(string, "") })
  default     = {}
  description = "The images; empty: Debian 12 as it is now."
}

variable "origins" {
  type        = object({ eu = number, us = number })
  default     = { eu = 2, us = 1 }
  description = "Origins of each region."
}

variable "edges" {
  type        = object({ eu = number, us = number })
  default     = { eu = 1, us = 1 }
  description = "Fixed edges of each region."
}

variable "autoscaled" {
  type        = object({ min = number, max = number })
  default     = { min = 0, max = 10 }
  description = "Further edges of each region."
}

variable "pinned_voters" {
  type        = list(string)
  default     = []
  description = "The output voter_names, once the cluster runs."
}

variable "operators_cidrs" {
  type        = list(string)
  default     = []
  description = "Where operators and the monitoring host are."
}

variable "monitoring" {
  type = object({
    ami      = string
    key_name = optional(string, "")
    grafana  = optional(object({ url = string, sha256 = string }))
  })
  default     = null
  description = "A host with Prometheus and Grafana in eu, modules/aws-monitoring's ami, key_name and grafana; null: none."
}

variable "load_balancer" {
  type        = bool
  default     = false
  description = "Whether a load balancer stands in front of each region's edges."
}
