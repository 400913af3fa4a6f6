variable "a" {
  description = "One side, modules/aws-region's output peer; the provider aws.a is its region's."
  type        = object({ vpc_id = string, cidr = string, region = string, route_tables = map(string) })
}

variable "b" {
  description = "The other side; the provider aws.b is its region's."
  type        = object({ vpc_id = string, cidr = string, region = string, route_tables = map(string) })
  validation {
    condition     = var.a.cidr != var.b.cidr
    error_message = "both sides have ${var.b.cidr}: want networks apart, they are routed to each other."
  }
}

variable "name" {
  type        = string
  description = "The connection's name, such as CLUSTER-A-B."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Further tags of the connection."
}
