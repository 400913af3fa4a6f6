output "names" {
  description = "All names that lead somewhere."
  value       = sort(distinct([for r in var.records : r.name]))
}
