locals {
  deploy = "${path.module}/../../.."
  etc    = "/etc/prometheus/tmms"
  lib    = "/usr/local/lib/tmms"

  secret_paths = merge(
    { token = "${local.etc}/token" },
    var.grafana == null ? {} : { password = "/etc/grafana/admin.password" },
  )

  # The shipped config, with EC2 beside the files of targets. The labels are those of the
  # files; rules without a match, as for the targets of files, do nothing.
  shipped = yamldecode(file("${local.deploy}/prometheus/prometheus.yaml"))
  job = merge(local.shipped.scrape_configs[0], { for k, v in {
    ec2_sd_configs = [for region in var.autoscaled : {
      region           = region
      port             = var.admin_port
      refresh_interval = "30s"
      filters = [
        { name = "tag:Name", values = ["${var.cluster_name}-*-edges"] },
        { name = "tag:tmms:cluster", values = [var.cluster_name] },
        { name = "instance-state-name", values = ["running"] },
      ]
    }]
    relabel_configs = [
      { source_labels = ["__meta_ec2_tag_tmms_cluster"], regex = "(.+)", target_label = "cluster" },
      { source_labels = ["__meta_ec2_tag_tmms_region"], regex = "(.+)", target_label = "region" },
      { source_labels = ["__meta_ec2_private_dns_name"], regex = "([^.]+).*", target_label = "node" }, # the host's name
      { source_labels = ["__meta_ec2_instance_id"], regex = ".+", target_label = "role", replacement = "edge" },
    ]
  } : k => v if length(var.autoscaled) > 0 })
  prometheus_yaml = "# Made by Terraform for ${var.cluster_name}, from deploy/prometheus.\n${yamlencode(merge(local.shipped, { scrape_configs = [local.job] }))}"

  reached = { for name, n in var.nodes : name => lookup(var.addresses, name, n.private_address) }
  targets = yamlencode([for name in sort(keys(var.nodes)) : {
    targets = [strcontains(local.reached[name], ":") ? "[${local.reached[name]}]:${var.admin_port}" : "${local.reached[name]}:${var.admin_port}"]
    labels  = { cluster = var.cluster_name, region = var.nodes[name].region, node = name, role = var.nodes[name].kind }
  }])

  prometheus_files = {
    "${local.etc}/prometheus.yaml"                          = local.prometheus_yaml
    "${local.etc}/alerts.yaml"                              = file("${local.deploy}/prometheus/alerts.yaml")
    "${local.etc}/targets/${var.cluster_name}.yaml"         = local.targets
    "/etc/systemd/system/prometheus.service.d/10-tmms.conf" = <<-EOT
      [Service]
      ExecStart=
      ExecStart=/usr/bin/prometheus --config.file=${local.etc}/prometheus.yaml \
        --storage.tsdb.path=/var/lib/prometheus/metrics2 --storage.tsdb.retention.time=${var.retention} \
        --storage.tsdb.retention.size=${var.retention_size} --web.listen-address=127.0.0.1:9090
    EOT
    "${local.etc}/alertmanagers/all.yaml"                   = yamlencode([for a in var.alertmanagers : { targets = [a] }])
  }

  # Without the password's file Grafana does not start, so that it never has its default.
  grafana_listen = split(":", var.grafana_listen)
  grafana_files = var.grafana == null ? {} : merge(
    {
      "/etc/grafana/provisioning/datasources/tmms.yaml"           = file("${local.deploy}/grafana/provisioning/datasources/prometheus.yaml")
      "/etc/grafana/provisioning/dashboards/tmms.yaml"            = file("${local.deploy}/grafana/provisioning/dashboards/tmms.yaml")
      "/etc/systemd/system/grafana-server.service.d/10-tmms.conf" = <<-EOT
        [Service]
        Environment=TMMS_PROMETHEUS_URL=http://127.0.0.1:9090
        Environment=GF_SECURITY_ADMIN_PASSWORD=$__file{${local.secret_paths.password}}
        Environment=GF_SERVER_HTTP_ADDR=${local.grafana_listen[0]} GF_SERVER_HTTP_PORT=${local.grafana_listen[1]}
        Environment=GF_AUTH_ANONYMOUS_ENABLED=false GF_USERS_ALLOW_SIGN_UP=false
        Environment=GF_ANALYTICS_REPORTING_ENABLED=false GF_ANALYTICS_CHECK_FOR_UPDATES=false
      EOT
    },
    # jsonencode takes the blanks out: clouds take 16 KiB of user data.
    { for f in fileset("${local.deploy}/grafana/dashboards", "*.json") :
    "/var/lib/grafana/dashboards/tmms/${f}" => jsonencode(jsondecode(file("${local.deploy}/grafana/dashboards/${f}"))) },
  )

  # What the script is told; no value may have a quote in it.
  settings = {
    TOKEN    = local.secret_paths.token
    PASSWORD = lookup(local.secret_paths, "password", "")
    GRAFANA  = var.grafana == null ? "" : var.grafana.url
    SHA256   = var.grafana == null ? "" : var.grafana.sha256
  }
  install_script = file("${path.module}/monitoring.sh")

  files = merge(
    local.prometheus_files, local.grafana_files,
    {
      "${local.lib}/monitoring.sh"  = local.install_script
      "${local.lib}/monitoring.env" = join("", [for k, v in local.settings : "${k}='${v}'\n"])
    },
    var.secrets.command == "" ? {} : { "${local.lib}/fetch-secrets" = "${var.secrets.command}\n" },
  )
  cloud_config = "#cloud-config\n${yamlencode({
    write_files = [for path, content in merge(local.files, var.extra_files) : {
      path        = path, content = content, owner = "root:root"
      permissions = path == "${local.lib}/monitoring.sh" ? "0755" : "0644"
    }]
    runcmd = concat([["bash", "${local.lib}/monitoring.sh"]], [for c in var.extra_commands : ["sh", "-c", c]])
  })}"
}
