variable "node" {
  description = "The node, one of the values of modules/plan's output nodes."
  type = object({
    name           = string
    region         = string
    zone           = string
    roles          = list(string)
    address        = optional(string)
    public_address = optional(string)
    host           = optional(string)
    voter          = optional(bool, false)
  })
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,62}$", var.node.name)) || var.node.name == ""
    error_message = "node.name ${jsonencode(var.node.name)}: want 1 to 63 of a-z, 0-9 and '-', not first a '-'; empty is the host's name."
  }
  validation {
    condition     = length(var.node.roles) > 0 && length(setsubtract(var.node.roles, ["origin", "edge"])) == 0
    error_message = "node.roles ${jsonencode(var.node.roles)}: want origin, edge or both."
  }
}

variable "cluster" {
  description = "The cluster, modules/plan's output cluster."
  type = object({
    name          = string
    voters        = list(string)
    join          = list(string)
    gossip_preset = optional(string, "wan")
  })
  validation {
    condition     = contains([1, 3, 5], length(var.cluster.voters))
    error_message = "cluster.voters ${jsonencode(var.cluster.voters)}: want 1, 3 or 5."
  }
  validation {
    condition     = contains(["lan", "wan"], var.cluster.gossip_preset)
    error_message = "cluster.gossip_preset ${jsonencode(var.cluster.gossip_preset)}: want lan or wan."
  }
}

variable "config" {
  type        = any
  default     = {}
  description = "More of node.yaml, by section, put over what is rendered here: {edge = {flush = \"35ms\"}}. docs/config.md has the keys."
  validation {
    condition     = length(setsubtract(keys(var.config), ["node", "listen", "tls", "advertise", "cluster", "edge", "origin", "log", "admin"])) == 0
    error_message = "config ${jsonencode(keys(var.config))}: want sections of node.yaml: node, listen, tls, advertise, cluster, edge, origin, log, admin."
  }
}

variable "binary" {
  description = "Where a host fetches tmms from, the binary or a release's .tar.gz, and the file's SHA-256; url empty: it is put on the host by other means."
  type        = object({ url = optional(string, ""), sha256 = string })
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.binary.sha256))
    error_message = "binary.sha256 ${jsonencode(var.binary.sha256)}: want 64 hexadecimal digits in lower case."
  }
  validation {
    condition     = var.binary.url == "" || can(regex("^https?://[^ '\"\\\\]+$", var.binary.url))
    error_message = "binary.url ${jsonencode(var.binary.url)}: want an http or https URL without quotes, blanks and backslashes."
  }
}

variable "secrets" {
  description = "How the node gets its certificate and keys: files, the caller puts them into the pki folder; command, a shell command fetches them there (PKI is the folder); join, it fetches join.token and the node gets the rest by itself. The command shows in user data: nothing secret belongs into it."
  type        = object({ method = string, command = optional(string, "") })
  default     = { method = "files" }
  validation {
    condition     = contains(["files", "command", "join"], var.secrets.method)
    error_message = "secrets.method ${jsonencode(var.secrets.method)}: want files, command or join."
  }
  validation {
    condition     = var.secrets.method != "command" || var.secrets.command != ""
    error_message = "secrets.command is empty: the method command wants one."
  }
}

variable "data_disk" {
  type        = string
  default     = ""
  description = "The block device for the data folder, by a name that lasts, such as /dev/disk/by-id/...; it gets an ext4 file system if it has nothing on it. Empty: none."
  validation {
    condition     = var.data_disk == "" || can(regex("^/dev/[A-Za-z0-9/_.:-]+$", var.data_disk))
    error_message = "data_disk ${jsonencode(var.data_disk)}: want a path below /dev/."
  }
}

variable "tokens" {
  type        = bool
  default     = false
  description = "Whether the admin API wants bearer tokens, of tokens.yaml in the configuration's folder."
}

variable "admin_listen" {
  type        = string
  default     = "127.0.0.1:8090"
  description = "Where the admin API listens; another address than a loopback one wants tokens."
  validation {
    condition     = var.tokens || can(regex("^(127[.][0-9.]+|localhost|\\[::1\\]):[0-9]+$", var.admin_listen))
    error_message = "admin_listen ${jsonencode(var.admin_listen)}: without tokens only a loopback address is allowed."
  }
}

variable "tls_certs" {
  type        = list(object({ cert_file = string, key_file = string }))
  default     = []
  description = "Certificates for viewers and publishers, paths on the host; with them RTMPS, HTTPS and HTTP/3 are on."
}

variable "init" {
  type        = string
  default     = "systemd"
  description = "What runs the node: systemd, or none, a process of its own with a pid file (containers, namespaces)."
  validation {
    condition     = contains(["systemd", "none"], var.init)
    error_message = "init ${jsonencode(var.init)}: want systemd or none."
  }
}

variable "root" {
  type        = string
  default     = ""
  description = "A folder below which everything is put, for several nodes on a host; only with init none."
  validation {
    condition     = var.root == "" || var.init == "none" && can(regex("^/[A-Za-z0-9/_.-]*[A-Za-z0-9]$", var.root))
    error_message = "root ${jsonencode(var.root)}: want an absolute path of letters, digits, '-', '_' and '.', and init none."
  }
}

variable "logs" {
  type        = object({ command = string, setup = optional(string, ""), files = optional(map(string), {}) })
  default     = null
  description = "Takes the journal to a collector: command is what the unit tmms-logs runs, a shipper that may read the journal and keeps its place in $STATE_DIRECTORY; setup, a shell command run before, installs it; files are its configuration, path to content. Its secrets are in /etc/tmms/logs.env, which is not rendered here. null: logs stay in the journal."
  validation {
    condition     = var.logs == null || try(trimspace(var.logs.command) != "", false)
    error_message = "logs ${jsonencode(var.logs)}: want a command."
  }
  validation {
    condition     = var.logs == null || var.init == "systemd"
    error_message = "logs want a journal, so init systemd, not ${var.init}."
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
  description = "Further shell commands of cloud-init, run after the node is installed."
}

variable "drain_wait" {
  type        = string
  default     = "30s"
  description = "How long install.sh --drain waits for the node to be empty before its process is replaced."
  validation {
    condition     = can(regex("^[0-9]+(s|m)$", var.drain_wait))
    error_message = "drain_wait ${jsonencode(var.drain_wait)}: want seconds or minutes such as 30s or 2m."
  }
}
