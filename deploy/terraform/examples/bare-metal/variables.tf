variable "cluster" {
  type        = string
  default     = "live"
  description = "The cluster's name."
}

variable "region" {
  type        = string
  default     = "fsn"
  description = "The region's name; the servers' nodes are REGION-o1, REGION-o2 and so on."
}

variable "servers" {
  description = "The servers by their nodes' names, 3 or more: address for clients, and for the other nodes where there is no private one; zone, what fails with it, such as a hall; the public SSH host keys, a line for each; how SSH gets there, if not at the address and port 22. A bastion has its own."
  type = map(object({
    address  = string
    private  = optional(string)
    zone     = optional(string, "a")
    host_key = string
    ssh_host = optional(string)
    ssh_port = optional(number, 22)
    bastion  = optional(object({ host = string, port = optional(number, 22), user = optional(string, "root"), key_file = optional(string, ""), host_key = string }))
  }))
  validation {
    condition     = length(var.servers) >= 3 && length(var.servers) <= 20
    error_message = "${length(var.servers)} servers: want 3 to 20."
  }
}

variable "pinned_voters" {
  type        = list(string)
  default     = []
  description = "The output voter_names, once the cluster runs."
}

variable "tmms" {
  type        = string
  description = "The path of the binary; another content replaces the nodes one by one."
}

variable "pki_dir" {
  type        = string
  default     = "pki"
  description = "The folder of tmms cert."
}

variable "ssh_user" {
  type        = string
  default     = "root"
  description = "Who logs in on the servers: root, or who may sudo without a password."
}

variable "ssh_key_file" {
  type        = string
  default     = ""
  description = "The path of the private SSH key; empty: the agent's keys."
}

variable "config" {
  type        = any
  default     = {}
  description = "More of every node's node.yaml, as modules/user-data takes it."
}

variable "drain_wait" {
  type        = string
  default     = "30s"
  description = "How long a node that is to be restarted or removed is waited for to be empty."
}

variable "root" {
  type        = string
  default     = ""
  description = "For hosts without systemd: a folder for the nodes, each in one of its own there, as processes with a pid file."
}
