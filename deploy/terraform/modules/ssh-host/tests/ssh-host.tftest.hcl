# Nothing is made: every run is a plan. The files of tests/pki are texts, not certificates.
variables {
  node     = { name = "n1", region = "eu", zone = "a", roles = ["origin", "edge"], address = "192.0.2.1", host = "192.0.2.1" }
  cluster  = { name = "live", voters = ["n1@192.0.2.1:7400"], join = ["192.0.2.1:7946"] }
  ssh      = { host = "192.0.2.1" }
  host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBkZ host"
  pki_dir  = "tests/pki"
  binary   = { file = "tests/pki/ca.crt" }
}

run "nothing_secret_is_planned" {
  command = plan
  # The first of what replaces a release is the host's ID, which is not known yet.
  assert {
    condition     = !strcontains(jsonencode([terraform_data.host.input, terraform_data.host.triggers_replace, slice(terraform_data.release.triggers_replace, 1, 6)]), "what ")
    error_message = jsonencode([terraform_data.host.input, slice(terraform_data.release.triggers_replace, 1, 6)])
  }
  assert {
    condition     = terraform_data.release.triggers_replace[3] == filesha256("tests/pki/n1.crt") && !contains(slice(terraform_data.release.triggers_replace, 1, 6), filesha256("tests/pki/n1.key"))
    error_message = "want the certificate's hash to replace the release, and nothing of the key: ${jsonencode(slice(terraform_data.release.triggers_replace, 1, 6))}"
  }
  assert {
    condition     = strcontains(output.known_hosts, "\n[192.0.2.1]:22 ssh-ed25519 AAAA")
    error_message = jsonencode(output.known_hosts)
  }
  assert {
    condition     = output.paths.bin == "/usr/local/bin/tmms" && contains(keys(output.files), "/etc/systemd/system/tmms.service")
    error_message = jsonencode(keys(output.files))
  }
}

run "a_url_uploads_nothing" {
  command = plan
  variables {
    binary = { url = "https://example.com/tmms", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
    api    = { url = "http://192.0.2.9:8090" }
  }
  assert {
    condition     = length(terraform_data.binary) == 0
    error_message = "a binary is uploaded that the host fetches"
  }
  assert {
    condition     = strcontains(terraform_data.host.input.remove[1], "--remove --drain http://192.0.2.9:8090;")
    error_message = jsonencode(terraform_data.host.input.remove)
  }
}

run "a_host_that_is_not_known" {
  command = plan
  variables {
    host_key = ""
  }
  expect_failures = [var.host_key]
}

run "a_certificate_that_is_not_there" {
  command = plan
  variables {
    node = { name = "n2", region = "eu", zone = "a", roles = ["edge"] }
  }
  expect_failures = [var.pki_dir]
}
