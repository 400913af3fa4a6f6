variable "cluster_name" {
  type        = string
  description = "The cluster's name in the plan, the label cluster of all series."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.cluster_name))
    error_message = "cluster_name ${jsonencode(var.cluster_name)}: want 1 to 20 of a-z, 0-9 and '-', a letter first."
  }
}

variable "nodes" {
  type        = map(object({ name = string, region = string, kind = string, private_address = string }))
  description = "modules/plan's output nodes: what is scraped. Let the monitoring host's address into operators_cidrs, or the firewalls keep it out."
}

variable "addresses" {
  type        = map(string)
  default     = {}
  description = "Node name to the address at which this host reaches it, where that is not the private one."
  validation {
    condition     = length(setsubtract(keys(var.addresses), keys(var.nodes))) == 0
    error_message = "addresses ${jsonencode(setsubtract(keys(var.addresses), keys(var.nodes)))}: no nodes of the plan."
  }
}

variable "admin_port" {
  type        = number
  default     = 8090
  description = "The port of the nodes' admin API, which has /metrics; the one that modules/plan's firewall opens to operators."
}

variable "autoscaled" {
  type        = list(string)
  default     = []
  description = "AWS regions with autoscaled edges of the cluster, which EC2 is asked for; the host needs the right to ec2:DescribeInstances in them."
  validation {
    condition     = alltrue([for r in var.autoscaled : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", r))])
    error_message = "autoscaled ${jsonencode(var.autoscaled)}: want AWS regions such as eu-central-1."
  }
}

variable "alertmanagers" {
  type        = list(string)
  default     = []
  description = "Where alerts are sent, HOST:PORT of each Alertmanager; none: they show in Prometheus and Grafana alone."
  validation {
    condition     = alltrue([for a in var.alertmanagers : can(regex("^[0-9A-Za-z.:\\[\\]-]+:[0-9]+$", a))])
    error_message = "alertmanagers ${jsonencode(var.alertmanagers)}: want HOST:PORT."
  }
}

variable "retention" {
  type        = string
  default     = "30d"
  description = "How long Prometheus keeps what it has scraped."
  validation {
    condition     = can(regex("^[1-9][0-9]*(h|d|w|y)$", var.retention))
    error_message = "retention ${jsonencode(var.retention)}: want hours, days, weeks or years such as 30d."
  }
}

variable "retention_size" {
  type        = string
  default     = "20GB"
  description = "How much Prometheus keeps at most, whatever retention says; leave the disk a quarter more."
  validation {
    condition     = can(regex("^[1-9][0-9]*(MB|GB|TB)$", var.retention_size))
    error_message = "retention_size ${jsonencode(var.retention_size)}: want MB, GB or TB such as 20GB."
  }
}

variable "grafana" {
  type        = object({ url = string, sha256 = string })
  default     = null
  description = "Where the host fetches Grafana from, its .deb, and the file's SHA-256; null: Prometheus alone. Debian has no package of it."
  validation {
    condition     = var.grafana == null || can(regex("^https?://[^ '\"\\\\]+[.]deb$", var.grafana.url)) && can(regex("^[0-9a-f]{64}$", var.grafana.sha256))
    error_message = "grafana ${jsonencode(var.grafana)}: want the URL of a .deb and 64 hexadecimal digits in lower case."
  }
}

variable "grafana_listen" {
  type        = string
  default     = "127.0.0.1:3000"
  description = "Where Grafana listens, without TLS: on a loopback for a tunnel or a proxy of yours, or at an address that only operators reach."
  validation {
    condition     = can(regex("^[0-9.]+:[0-9]+$", var.grafana_listen))
    error_message = "grafana_listen ${jsonencode(var.grafana_listen)}: want ADDRESS:PORT with an IPv4 address; 0.0.0.0 is all."
  }
}

variable "secrets" {
  type        = object({ method = string, command = optional(string, "") })
  default     = { method = "files" }
  description = "How the host gets a token with the role read and Grafana's admin password: files, the caller puts them at the output secret_paths; command, a shell command fetches them (TOKEN and PASSWORD are the paths). The command shows in user data: nothing secret belongs into it."
  validation {
    condition     = contains(["files", "command"], var.secrets.method) && (var.secrets.method == "files") == (var.secrets.command == "")
    error_message = "secrets ${jsonencode(var.secrets)}: want method files, or command and a command."
  }
}

variable "extra_files" {
  type        = map(string)
  default     = {}
  description = "Further files of cloud-init, path to content, mode 0644."
}

variable "extra_commands" {
  type        = list(string)
  default     = []
  description = "Further shell commands of cloud-init, run after all is installed."
}
