locals {
  etc    = "${var.root}/etc/tmms"
  pki    = "${local.etc}/pki"
  lib    = "${var.root}/usr/local/lib/tmms"
  data   = "${var.root}/var/lib/tmms"
  bin    = "${var.root}/usr/local/bin/tmms"
  origin = contains(var.node.roles, "origin")
  edge   = contains(var.node.roles, "edge")
  tls    = length(var.tls_certs) > 0

  # An address of IPv6 stands in brackets before a port.
  address = var.node.address == null ? "" : strcontains(var.node.address, ":") ? "[${var.node.address}]" : var.node.address
  host    = var.node.host == null ? "" : strcontains(var.node.host, ":") ? "[${var.node.host}]" : var.node.host

  base = {
    node = { name = var.node.name, roles = var.node.roles, region = var.node.region, zone = var.node.zone, data_dir = local.data }
    listen = {
      rtmp   = ":1935"
      rtmps  = local.tls ? ":1936" : ""
      http   = local.edge ? ":8080" : ""
      https  = local.edge && local.tls ? ":8443" : ""
      fabric = ":7400"
      gossip = ":7946"
      admin  = var.admin_listen
    }
    tls = { certs = var.tls_certs }
    advertise = {
      rtmp   = local.host == "" ? "" : "${local.host}:1935"
      rtmps  = local.host == "" || !local.tls ? "" : "${local.host}:1936"
      http   = local.host == "" || !local.edge ? "" : "${local.host}:8080"
      https  = local.host == "" || !local.edge || !local.tls ? "" : "${local.host}:8443"
      fabric = local.address == "" ? "" : "${local.address}:7400"
      gossip = local.address == "" ? "" : "${local.address}:7946"
    }
    cluster = merge({
      voters          = var.cluster.voters
      join            = var.cluster.join
      gossip_preset   = var.cluster.gossip_preset
      ca_file         = "${local.pki}/ca.crt"
      cert_file       = "${local.pki}/node.crt"
      key_file        = "${local.pki}/node.key"
      gossip_key_file = "${local.pki}/gossip.key"
      }, var.secrets.method != "join" ? {} : {
      join_token_file = "${local.etc}/join.token"
    })
    log   = { format = "json" }
    admin = var.tokens ? { tokens_file = "${local.etc}/tokens.yaml" } : {}
  }
  config = { for section in setunion(keys(local.base), keys(var.config)) : section => merge(
    try(local.base[section], {}), try(var.config[section], {})
  ) }

  # yamlencode quotes every key and text, so a zone called 1 stays a text.
  node_yaml = "# Made by Terraform for ${var.node.name == "" ? "a new node" : var.node.name} of ${var.cluster.name}; docs/config.md has the keys.\n${yamlencode({ for k, v in local.config : k => v if length(v) > 0 })}"

  # What the script is told; no value may have a quote in it.
  settings = {
    NODE    = var.node.name
    LOGS    = var.logs == null ? "no" : "yes"
    INIT    = var.init
    ROOT    = var.root
    URL     = var.binary.url
    SHA256  = var.binary.sha256
    DISK    = var.data_disk
    SECRETS = var.secrets.method
    DRAIN   = var.drain_wait
    ADMIN   = "http://${replace(replace(var.admin_listen, "/^:/", "127.0.0.1:"), "/^(0[.]0[.]0[.]0|\\[::\\]):/", "127.0.0.1:")}"
    ORIGIN  = local.origin ? "yes" : "no"
    VOTERS  = join(" ", [for v in var.cluster.voters : split("@", v)[0]])
  }
  install_script = join("\n", concat(
    ["#!/usr/bin/env bash", "# Installs tmms on this host, or brings it up to date; it may run again at any time."],
    [for k, v in local.settings : "${k}='${v}'"],
    [file("${path.module}/install.sh")],
  ))

  unit   = file("${path.module}/../../../systemd/tmms.service")
  sysctl = file("${path.module}/../../../systemd/60-tmms.conf")
  files = merge(
    { "${local.etc}/node.yaml" = local.node_yaml },
    { "${local.lib}/install.sh" = local.install_script },
    var.secrets.command == "" ? {} : { "${local.lib}/fetch-secrets" = "${var.secrets.command}\n" },
    var.init != "systemd" ? {} : {
      "/etc/systemd/system/tmms.service" = local.unit
      "/etc/sysctl.d/60-tmms.conf"       = local.sysctl
    },
    local.logs,
  )
  logs = var.logs == null ? {} : merge(var.logs.files, {
    "/etc/systemd/system/tmms-logs.service" = file("${path.module}/tmms-logs.service")
    "${local.lib}/ship-logs"                = "${var.logs.command}\n"
    "${local.lib}/setup-logs"               = "${var.logs.setup}\n"
  })
  cloud_config = {
    write_files = [for path, content in merge(local.files, var.extra_files) : {
      path        = path, content = content, owner = "root:root"
      permissions = path == "${local.lib}/install.sh" ? "0755" : "0644"
    }]
    runcmd = concat([["bash", "${local.lib}/install.sh"]], [for c in var.extra_commands : ["sh", "-c", c]])
  }
}
