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

variable "aws_region" {
  type        = string
  default     = "eu-central-1"
  description = "The region of AWS that the origins are in."
}

variable "ami" {
  type        = string
  default     = ""
  description = "The origins' image; empty: Debian 12 as it is now."
}

variable "binary" {
  type        = object({ url = string, sha256 = string })
  description = "Where all hosts fetch tmms from, and its SHA-256."
}

variable "origins" {
  type        = number
  default     = 3
  description = "Origins, spread over three zones."
}

variable "pinned_voters" {
  type        = list(string)
  default     = []
  description = "The output voter_names, once the cluster runs."
}

variable "edges" {
  description = "The rented hosts by their regions, and there by their nodes' names REGION-e1, REGION-e2 and so on: the public IPv4 address and the public SSH host keys, a line for each. latency_region is the region of AWS whose latency stands for theirs, another for each."
  type = map(object({
    latency_region = string
    gbps           = optional(number, 1)
    hosts = map(object({
      address  = string
      host_key = string
      ssh_port = optional(number, 22)
      bastion  = optional(object({ host = string, port = optional(number, 22), user = optional(string, "root"), key_file = optional(string, ""), host_key = string }))
    }))
  }))
  validation {
    condition     = !contains(keys(var.edges), "aws")
    error_message = "edges [\"aws\"]: that is the origins' region."
  }
  validation {
    condition     = length(distinct(values(var.edges)[*].latency_region)) == length(var.edges)
    error_message = "edges ${jsonencode({ for k, r in var.edges : k => r.latency_region })}: want another latency_region for each, a name has one record for each."
  }
}

variable "ssh_user" {
  type        = string
  default     = "root"
  description = "Who logs in on the rented hosts: root, or who may sudo without a password."
}

variable "ssh_key_file" {
  type        = string
  default     = ""
  description = "The path of the private SSH key; empty: the agent's keys."
}

variable "pki_dir" {
  type        = string
  default     = "pki"
  description = "The folder of tmms cert, for the certificates of the rented hosts; push-secrets.sh has the origins'."
}

variable "tokens_file" {
  type        = string
  default     = "tokens.yaml"
  description = "The admin API's tokens, the file that push-secrets.sh brings to the origins."
}

variable "operators_cidrs" {
  type        = list(string)
  default     = []
  description = "Networks that the origins' admin API is let in from."
}
