output "name" {
  description = "The node's name; known when its process has been started."
  value       = terraform_data.release.id == "" ? "" : local.name
}

output "release" {
  description = "An ID that is another whenever the node has been installed anew."
  value       = terraform_data.release.id
}

output "files" {
  description = "Path on the host to content, of all that is not secret: modules/user-data's output."
  value       = module.user_data.files
}

output "paths" {
  description = "Where things are on the host: modules/user-data's output."
  value       = module.user_data.paths
}

output "known_hosts" {
  description = "What a connection of the root's own to the host takes as host_key and as bastion_host_key."
  value       = local.known_hosts
}
