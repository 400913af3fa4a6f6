# Nothing is made: every run is a plan. What is rendered is read, and Prometheus started
# with it, in deploy/terraform/monitoring_test.go.
variables {
  cluster_name = "live"
  nodes = {
    eu-o1 = { name = "eu-o1", region = "eu", kind = "origin", private_address = "10.1.0.4" }
    us-e1 = { name = "us-e1", region = "us", kind = "edge", private_address = "10.2.0.15" }
  }
}

run "prometheus_alone" {
  command = plan
  assert {
    condition = yamldecode(output.targets) == [
      { targets = ["10.1.0.4:8090"], labels = { cluster = "live", region = "eu", node = "eu-o1", role = "origin" } },
      { targets = ["10.2.0.15:8090"], labels = { cluster = "live", region = "us", node = "us-e1", role = "edge" } },
    ]
    error_message = output.targets
  }
  assert {
    condition     = length(output.files) == 7 && output.files["/etc/prometheus/tmms/targets/live.yaml"] == output.targets
    error_message = jsonencode(keys(output.files))
  }
  assert {
    condition     = keys(output.secret_paths) == ["token"] && !strcontains(output.cloud_init, "credentials:")
    error_message = jsonencode(output.secret_paths)
  }
  assert {
    condition     = !strcontains(output.files["/etc/prometheus/tmms/prometheus.yaml"], "ec2")
    error_message = output.files["/etc/prometheus/tmms/prometheus.yaml"]
  }
}

run "with_grafana_and_all" {
  command = plan
  variables {
    addresses      = { us-e1 = "2001:db8::1" }
    admin_port     = 18090
    autoscaled     = ["eu-central-1", "us-gov-east-1"]
    alertmanagers  = ["alerts.example.com:9093"]
    retention      = "90d"
    grafana        = { url = "https://example.com/grafana_1_amd64.deb", sha256 = sha256("") }
    grafana_listen = "10.1.0.9:3000"
    secrets        = { method = "command", command = "fetch" }
    extra_commands = ["true"]
  }
  assert {
    condition     = yamldecode(output.targets)[1].targets == ["[2001:db8::1]:18090"]
    error_message = output.targets
  }
  assert {
    condition     = [for c in yamldecode(output.files["/etc/prometheus/tmms/prometheus.yaml"]).scrape_configs[0].ec2_sd_configs : "${c.region} ${c.port}"] == ["eu-central-1 18090", "us-gov-east-1 18090"]
    error_message = output.files["/etc/prometheus/tmms/prometheus.yaml"]
  }
  assert {
    condition     = yamldecode(output.files["/etc/prometheus/tmms/alertmanagers/all.yaml"]) == [{ targets = ["alerts.example.com:9093"] }]
    error_message = "no alertmanager"
  }
  assert {
    condition     = strcontains(output.files["/etc/systemd/system/grafana-server.service.d/10-tmms.conf"], "GF_SECURITY_ADMIN_PASSWORD=$__file{/etc/grafana/admin.password}")
    error_message = "Grafana's password is not from a file"
  }
  assert {
    condition     = length([for f in keys(output.files) : f if startswith(f, "/var/lib/grafana/dashboards/tmms/tmms-")]) == 4
    error_message = jsonencode(keys(output.files))
  }
  assert {
    condition     = yamldecode(output.cloud_init).runcmd == [["bash", "/usr/local/lib/tmms/monitoring.sh"], ["sh", "-c", "true"]]
    error_message = "commands"
  }
}
