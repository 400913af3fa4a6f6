output "cloud_init" {
  description = "User data of a cloud host: #cloud-config with the files and one command that installs and starts the node."
  value       = "#cloud-config\n${yamlencode(local.cloud_config)}"
}

output "cloud_init_gzip" {
  description = "The same, compressed and in base64 (user_data_base64): clouds take 16 KiB."
  value       = base64gzip("#cloud-config\n${yamlencode(local.cloud_config)}")
}

output "node_yaml" {
  description = "The node's configuration."
  value       = local.node_yaml
}

output "unit" {
  description = "The systemd unit, deploy/systemd/tmms.service."
  value       = local.unit
}

output "sysctl" {
  description = "The kernel's settings, deploy/systemd/60-tmms.conf."
  value       = local.sysctl
}

output "install_script" {
  description = "A bash script that installs the node from the files, or brings it up to date: install.sh [--binary FILE] [--wait SECONDS] [--drain [API]] [--token FILE] [--remove]."
  value       = local.install_script
}

output "files" {
  description = "Path on the host to content, of all that is not secret; the install script is /usr/local/lib/tmms/install.sh."
  value       = local.files
}

output "paths" {
  description = "Where things are on the host: etc, pki, data, bin, lib (the release beside the last, and what install.sh needs)."
  value       = { etc = local.etc, pki = local.pki, data = local.data, bin = local.bin, lib = local.lib }
}
