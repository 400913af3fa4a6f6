output "cloud_init" {
  description = "User data of a cloud host: #cloud-config with the files and one command that installs and starts all."
  value       = local.cloud_config
}

output "cloud_init_gzip" {
  description = "The same, compressed and in base64 (user_data_base64): clouds take 16 KiB."
  value       = base64gzip(local.cloud_config)
}

output "files" {
  description = "Path on the host to content, of all that is not secret; the install script is /usr/local/lib/tmms/monitoring.sh."
  value       = local.files
}

output "install_script" {
  description = "A bash script that installs Prometheus and Grafana from the files, monitoring.env beside it among them, or brings them up to date."
  value       = local.install_script
}

output "secret_paths" {
  description = "Where the host's secrets are: token, a token with the role read; password, of Grafana's user admin, with grafana."
  value       = local.secret_paths
}

output "targets" {
  description = "What is scraped, a file of Prometheus' file_sd_configs; autoscaled edges are beside it."
  value       = local.targets
}
