# A subnet of its own at the end of the region's network, where the plan has no zone, and
# in it one address, known before anything is made: the nodes' firewalls have to let it in.
locals {
  subnet  = cidrsubnet(var.cidr, 28 - tonumber(split("/", var.cidr)[1]), pow(2, 28 - tonumber(split("/", var.cidr)[1])) - 1)
  address = cidrhost(local.subnet, 4) # AWS keeps 0 to 3

  name = "${var.cluster_name}-monitoring"
  path = "/${var.cluster_name}/monitoring"
  tags = merge(var.tags, { Name = local.name, "tmms:cluster" = var.cluster_name })
  kms  = var.kms_key_arn == "" ? null : var.kms_key_arn
  ssh  = var.key_name == "" ? [] : distinct(var.operators_cidrs)
}

data "aws_partition" "here" {}
data "aws_caller_identity" "here" {}

module "host" {
  source         = "../monitoring"
  cluster_name   = var.cluster_name
  nodes          = var.nodes
  addresses      = var.addresses
  autoscaled     = var.autoscaled
  alertmanagers  = var.alertmanagers
  retention      = var.retention
  retention_size = "${floor(var.disk_gb * 0.75)}GB"
  grafana        = var.grafana
  secrets = {
    method = "command"
    command = templatefile("${path.module}/../aws-region/fetch.sh.tftpl", {
      region = var.peer.region
      path   = local.path
      files  = merge({ token = "$TOKEN" }, var.grafana == null ? {} : { "admin.password" = "$PASSWORD" })
    })
  }
}

resource "aws_subnet" "this" {
  vpc_id            = var.peer.vpc_id
  availability_zone = var.zone
  cidr_block        = local.subnet
  tags              = local.tags
}

resource "aws_route_table_association" "this" {
  subnet_id      = aws_subnet.this.id
  route_table_id = var.peer.route_tables.public
}

resource "aws_security_group" "this" {
  name        = local.name
  description = "Monitoring of ${var.cluster_name}"
  vpc_id      = var.peer.vpc_id
  tags        = local.tags
  lifecycle {
    ignore_changes = [ingress, egress] # the rules below
  }
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  for_each          = toset(local.ssh)
  security_group_id = aws_security_group.this.id
  description       = "ssh from operators"
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = strcontains(each.key, ":") ? null : each.key
  cidr_ipv6         = strcontains(each.key, ":") ? each.key : null
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.this.id
  description       = "anything out"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
  tags              = local.tags
}

# It may read its own two secrets, and see which instances there are.
resource "aws_iam_role" "this" {
  name = local.name
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
  tags = local.tags
}

resource "aws_iam_role_policy" "this" {
  name = "watch"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Effect   = "Allow", Action = "ssm:GetParameter"
        Resource = "arn:${data.aws_partition.here.partition}:ssm:${var.peer.region}:${data.aws_caller_identity.here.account_id}:parameter${local.path}/*"
      }],
      length(var.autoscaled) == 0 ? [] : [{ Effect = "Allow", Action = ["ec2:DescribeInstances", "ec2:DescribeAvailabilityZones"], Resource = "*" }],
      local.kms == null ? [] : [{ Effect = "Allow", Action = "kms:Decrypt", Resource = local.kms }],
    )
  })
}

resource "aws_iam_instance_profile" "this" {
  name = local.name
  role = aws_iam_role.this.name
  tags = local.tags
}

# A new plan does not replace the host, which would lose what was scraped: the file of
# targets is brought by hand, see README.md, or the host is replaced by
#   terraform apply -replace=module.MODULE.aws_instance.this
resource "aws_instance" "this" {
  ami                         = var.ami
  instance_type               = var.instance_type
  subnet_id                   = aws_subnet.this.id
  private_ip                  = local.address
  associate_public_ip_address = true
  vpc_security_group_ids      = [aws_security_group.this.id]
  iam_instance_profile        = aws_iam_instance_profile.this.name
  key_name                    = var.key_name == "" ? null : var.key_name
  user_data_base64            = module.host.cloud_init_gzip
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  root_block_device {
    encrypted             = true
    kms_key_id            = local.kms
    volume_type           = "gp3"
    volume_size           = var.disk_gb
    delete_on_termination = true
    tags                  = local.tags
  }
  tags       = local.tags
  depends_on = [aws_route_table_association.this, aws_iam_role_policy.this, aws_vpc_security_group_egress_rule.all]
  lifecycle {
    ignore_changes = [ami, user_data, user_data_base64]
  }
}
