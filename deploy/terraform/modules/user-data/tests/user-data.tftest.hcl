# Nothing is made: every run is a plan. What is rendered is read by the programs that it
# is for in deploy/terraform/userdata_test.go.
variables {
  node    = { name = "eu-e1", region = "eu", zone = "1", roles = ["edge"], address = "2001:db8::1", host = "eu-e1.live.example.com" }
  cluster = { name = "live", voters = ["eu-o1@10.1.0.4:7400"], join = ["10.1.0.4:7946"] }
  binary  = { url = "https://example.com/tmms", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
}

run "an_edge" {
  command = plan
  assert {
    condition     = yamldecode(output.node_yaml).advertise.fabric == "[2001:db8::1]:7400" && yamldecode(output.node_yaml).advertise.http == "eu-e1.live.example.com:8080"
    error_message = output.node_yaml
  }
  assert {
    condition     = yamldecode(output.node_yaml).node.zone == "1" && strcontains(output.node_yaml, "\"zone\": \"1\"")
    error_message = "a zone called 1 is a text: ${output.node_yaml}"
  }
  assert {
    condition     = yamldecode(output.node_yaml).listen.https == "" && !contains(keys(yamldecode(output.node_yaml)), "admin")
    error_message = output.node_yaml
  }
  assert {
    condition     = startswith(output.cloud_init, "#cloud-config\n") && length(yamldecode(output.cloud_init).write_files) == 4
    error_message = output.cloud_init
  }
}

run "an_origin_serves_nobody" {
  command = plan
  variables {
    node = { name = "eu-o1", region = "eu", zone = "a", roles = ["origin"], address = "10.1.0.4", host = "192.0.2.1" }
  }
  assert {
    condition     = yamldecode(output.node_yaml).listen.http == "" && yamldecode(output.node_yaml).advertise.http == "" && yamldecode(output.node_yaml).advertise.rtmp == "192.0.2.1:1935"
    error_message = output.node_yaml
  }
}

run "sections_are_merged" {
  command = plan
  variables {
    config = { listen = { rtmp = ":1936" }, edge = { loops = 2 }, cluster = { lease = "20s" } }
  }
  assert {
    condition     = yamldecode(output.node_yaml).listen.rtmp == ":1936" && yamldecode(output.node_yaml).listen.http == ":8080"
    error_message = output.node_yaml
  }
  assert {
    condition     = yamldecode(output.node_yaml).edge.loops == 2 && yamldecode(output.node_yaml).cluster.lease == "20s" && length(yamldecode(output.node_yaml).cluster.voters) == 1
    error_message = output.node_yaml
  }
}

run "with_certificates_tls_is_on" {
  command = plan
  variables {
    tls_certs = [{ cert_file = "/etc/tmms/web.pem", key_file = "/etc/tmms/web.key" }]
  }
  assert {
    condition     = yamldecode(output.node_yaml).listen.https == ":8443" && yamldecode(output.node_yaml).advertise.rtmps == "eu-e1.live.example.com:1936"
    error_message = output.node_yaml
  }
}

run "a_token_and_no_name" {
  command = plan
  variables {
    node      = { name = "", region = "eu", zone = "a", roles = ["edge"] }
    secrets   = { method = "join", command = "fetch" }
    data_disk = "/dev/disk/by-id/vol-1"
    tokens    = true
  }
  assert {
    condition     = yamldecode(output.node_yaml).cluster.join_token_file == "/etc/tmms/join.token" && yamldecode(output.node_yaml).node.name == "" && yamldecode(output.node_yaml).advertise.fabric == ""
    error_message = output.node_yaml
  }
  assert {
    condition     = output.files["/usr/local/lib/tmms/fetch-secrets"] == "fetch\n" && strcontains(output.install_script, "\nDISK='/dev/disk/by-id/vol-1'\n")
    error_message = output.install_script
  }
}

run "below_a_folder" {
  command = plan
  variables {
    init = "none"
    root = "/srv/n1"
  }
  assert {
    condition     = jsonencode(keys(output.files)) == jsonencode(["/srv/n1/etc/tmms/node.yaml", "/srv/n1/usr/local/lib/tmms/install.sh"])
    error_message = jsonencode(keys(output.files))
  }
  assert {
    condition     = yamldecode(output.node_yaml).node.data_dir == "/srv/n1/var/lib/tmms" && yamldecode(output.node_yaml).cluster.key_file == "/srv/n1/etc/tmms/pki/node.key" && output.paths.pki == "/srv/n1/etc/tmms/pki"
    error_message = output.node_yaml
  }
}

run "further_files_and_commands" {
  command = plan
  variables {
    extra_files    = { "/etc/motd" = "hello\n" }
    extra_commands = ["true"]
  }
  assert {
    condition     = length(yamldecode(output.cloud_init).write_files) == 5 && yamldecode(output.cloud_init).runcmd[1][2] == "true"
    error_message = output.cloud_init
  }
}

run "logs_are_shipped" {
  command = plan
  variables {
    logs = { setup = "install it", command = "exec ship", files = { "/etc/ship.yaml" = "a: 1\n" } }
  }
  assert {
    condition     = output.files["/usr/local/lib/tmms/ship-logs"] == "exec ship\n" && output.files["/usr/local/lib/tmms/setup-logs"] == "install it\n" && output.files["/etc/ship.yaml"] == "a: 1\n"
    error_message = jsonencode(keys(output.files))
  }
  assert {
    condition     = strcontains(output.files["/etc/systemd/system/tmms-logs.service"], "ExecStart=/bin/bash /usr/local/lib/tmms/ship-logs\n") && strcontains(output.install_script, "\nLOGS='yes'\n")
    error_message = output.install_script
  }
}
