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
}

variable "cluster" {
  description = "The cluster, modules/plan's output cluster."
  type        = object({ name = string, voters = list(string), join = list(string), gossip_preset = optional(string, "wan") })
}

variable "ssh" {
  description = "How Terraform reaches the host: its address and port, as who (root, or who may sudo without a password), and the path of the private key, without a passphrase; empty: the agent's keys. By a bastion, if there is one."
  type = object({
    host     = string
    port     = optional(number, 22)
    user     = optional(string, "root")
    key_file = optional(string, "")
    timeout  = optional(string, "2m")
    bastion = optional(object({
      host     = string
      port     = optional(number, 22)
      user     = optional(string, "root")
      key_file = optional(string, "")
      host_key = string
    }))
  })
  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z.:-]{0,252}$", var.ssh.host)) && var.ssh.port >= 1 && var.ssh.port <= 65535
    error_message = "ssh ${jsonencode({ host = var.ssh.host, port = var.ssh.port })}: want an address or a name without brackets, and a port of 1 to 65535."
  }
  validation {
    condition     = var.ssh.key_file == "" || try(fileexists(pathexpand(var.ssh.key_file)), false)
    error_message = "ssh.key_file ${jsonencode(var.ssh.key_file)}: there is no such file."
  }
  validation {
    condition     = alltrue([for line in split("\n", trimspace(try(var.ssh.bastion.host_key, "ssh-rsa A"))) : can(regex("^(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?$", trimspace(line)))])
    error_message = "ssh.bastion.host_key ${jsonencode(try(var.ssh.bastion.host_key, ""))}: want lines such as /etc/ssh/ssh_host_*_key.pub have."
  }
}

variable "host_key" {
  type        = string
  description = "The host's public keys, a line for each, as its /etc/ssh/ssh_host_*_key.pub have them: another host is not spoken to. From the provider's console, or from cloud-init, which can set them."
  validation {
    condition     = alltrue([for line in split("\n", trimspace(var.host_key)) : can(regex("^(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?$", trimspace(line)))])
    error_message = "host_key ${jsonencode(var.host_key)}: want lines such as /etc/ssh/ssh_host_*_key.pub have; a host that is not known is not trusted."
  }
}

variable "pki_dir" {
  type        = string
  description = "The folder of tmms cert on the operator's machine: NAME.crt, NAME.key, ca.crt and gossip.key of it go to the host. Plan and state have the hashes of certificates, of keys nothing."
  validation {
    condition     = length([for f in ["${var.node.name}.crt", "${var.node.name}.key", "ca.crt", "gossip.key"] : f if !fileexists("${var.pki_dir}/${f}")]) == 0
    error_message = "pki_dir ${jsonencode(var.pki_dir)}: it has no ${join(", ", [for f in ["${var.node.name}.crt", "${var.node.name}.key", "ca.crt", "gossip.key"] : f if !fileexists("${var.pki_dir}/${f}")])}; tmms cert init and tmms cert node ${var.node.name} --roles ${join(",", var.node.roles)} --dir ${var.pki_dir} make them."
  }
}

variable "binary" {
  description = "The release: file, the path of tmms on the operator's machine, which is uploaded; or url, from which the host fetches the binary or a .tar.gz, and its sha256."
  type        = object({ file = optional(string, ""), url = optional(string, ""), sha256 = optional(string, "") })
  validation {
    condition     = (var.binary.file == "") != (var.binary.url == "")
    error_message = "binary ${jsonencode(var.binary)}: want file or url, one of the two."
  }
  validation {
    condition     = var.binary.file == "" || try(fileexists(var.binary.file), false)
    error_message = "binary.file ${jsonencode(var.binary.file)}: there is no such file."
  }
}

variable "api" {
  description = "The admin API that drains the node before it is restarted or removed: url, an origin's, and the path of a file with a token, if it wants one. Empty, an origin asks itself, and an edge is ended undrained: its viewers come back by themselves."
  type        = object({ url = optional(string, ""), token_file = optional(string, "") })
  default     = {}
  validation {
    condition     = var.api.url == "" || can(regex("^https?://[A-Za-z0-9.:\\[\\]-]+$", var.api.url))
    error_message = "api.url ${jsonencode(var.api.url)}: want http://HOST:PORT."
  }
  validation {
    condition     = var.api.token_file == "" || try(fileexists(var.api.token_file), false)
    error_message = "api.token_file ${jsonencode(var.api.token_file)}: there is no such file."
  }
}

variable "tokens_file" {
  type        = string
  default     = ""
  description = "The path of the admin API's tokens.yaml on the operator's machine; with it the API wants bearer tokens."
  validation {
    condition     = var.tokens_file == "" || try(fileexists(var.tokens_file), false)
    error_message = "tokens_file ${jsonencode(var.tokens_file)}: there is no such file."
  }
}

variable "config" {
  type        = any
  default     = {}
  description = "More of node.yaml, modules/user-data's config."
}

variable "admin_listen" {
  type        = string
  default     = "127.0.0.1:8090"
  description = "Where the admin API listens; another address than a loopback one wants tokens_file."
}

variable "tls_certs" {
  type        = list(object({ cert_file = string, key_file = string }))
  default     = []
  description = "Certificates for viewers and publishers, paths on the host; with them RTMPS, HTTPS and HTTP/3 are on."
}

variable "logs" {
  type        = object({ command = string, setup = optional(string, ""), files = optional(map(string), {}) })
  default     = null
  description = "Takes the journal to a collector, modules/user-data's logs. null: logs stay in the journal."
}

variable "drain_wait" {
  type        = string
  default     = "30s"
  description = "How long a node that is to be restarted or removed is waited for to be empty."
}

variable "init" {
  type        = string
  default     = "systemd"
  description = "What runs the node: systemd, or none, a process of its own with a pid file."
}

variable "root" {
  type        = string
  default     = ""
  description = "A folder below which everything is put; only with init none."
}
