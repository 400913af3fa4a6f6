# Edges that come and go. Nothing about one of them is known here: it gets its certificate
# by a join token (/CLUSTER/join/REGION/join.token), and finds its zone and addresses out
# by itself.
locals {
  scaled = var.autoscaled == null ? 0 : 1
  group  = "${local.prefix}-edges"
}

resource "aws_iam_role" "scaled" {
  count              = local.scaled
  name               = local.group
  assume_role_policy = local.assume
  tags               = local.tags
}

resource "aws_iam_role_policy" "scaled" {
  count = local.scaled
  name  = "join"
  role  = aws_iam_role.scaled[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      { Effect = "Allow", Action = "ssm:GetParameter", Resource = "${local.parameters}/${var.cluster_name}/join/${var.region}/*" },
      {
        Effect   = "Allow", Action = "autoscaling:CompleteLifecycleAction"
        Resource = "arn:${data.aws_partition.here.partition}:autoscaling:${data.aws_region.here.name}:${data.aws_caller_identity.here.account_id}:autoScalingGroup:*:autoScalingGroupName/${local.group}"
      },
    ], local.decrypt)
  })
}

resource "aws_iam_role_policy_attachment" "scaled" {
  for_each   = toset(local.scaled == 0 ? [] : var.instance_policies)
  role       = aws_iam_role.scaled[0].name
  policy_arn = each.value
}

resource "aws_iam_instance_profile" "scaled" {
  count = local.scaled
  name  = local.group
  role  = aws_iam_role.scaled[0].name
  tags  = local.tags
}

module "user_data_scaled" {
  source  = "../user-data"
  count   = local.scaled
  node    = { name = "", region = var.region, zone = keys(local.subnets)[0], roles = ["edge"] }
  cluster = var.cluster
  config  = var.config
  binary  = var.binary
  secrets = {
    method = "join"
    command = join("\n", [
      templatefile("${path.module}/fetch.sh.tftpl", {
        region = data.aws_region.here.name
        path   = "/${var.cluster_name}/join/${var.region}"
        files = merge(
          { "join.token" = "$ETC/join.token" },
          var.tokens ? { "tokens.yaml" = "$ETC/tokens.yaml" } : {},
        )
      }),
      "bash /usr/local/lib/tmms/instance-env >\"$ETC/instance.env\"",
    ])
  }
  tokens       = var.tokens
  admin_listen = var.admin_listen
  tls_certs    = var.tls_certs
  logs         = var.logs
  extra_files = merge(var.extra_files, {
    "/usr/local/lib/tmms/instance-env" = file("${path.module}/instance-env.sh")
    "/usr/local/lib/tmms/drain-watch" = templatefile("${path.module}/drain-watch.sh.tftpl", {
      region = data.aws_region.here.name, group = local.group, hook = "drain"
    })
    "/etc/systemd/system/tmms-drain-watch.service"     = file("${path.module}/tmms-drain-watch.service")
    "/etc/systemd/system/tmms.service.d/instance.conf" = "[Service]\nEnvironmentFile=-/etc/tmms/instance.env\n"
  })
  extra_commands = concat(["systemctl enable --now tmms-drain-watch"], var.extra_commands)
}

resource "aws_launch_template" "edge" {
  count                  = local.scaled
  name                   = local.group
  image_id               = local.ami
  instance_type          = var.edge_type
  key_name               = var.key_name == "" ? null : var.key_name
  user_data              = module.user_data_scaled[0].cloud_init_gzip
  update_default_version = true
  iam_instance_profile {
    name = aws_iam_instance_profile.scaled[0].name
  }
  monitoring {
    enabled = true
  }
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  network_interfaces {
    device_index                = 0
    associate_public_ip_address = true
    ipv6_address_count          = 1
    security_groups             = [aws_security_group.node.id]
    delete_on_termination       = true
  }
  block_device_mappings {
    device_name = "/dev/xvda" # Debian's root
    ebs {
      encrypted             = true
      kms_key_id            = local.kms
      volume_type           = "gp3"
      volume_size           = 8
      delete_on_termination = true
    }
  }
  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]
    content {
      resource_type = tag_specifications.value
      tags          = merge(local.tags, { Name = local.group })
    }
  }
  tags = local.tags
  lifecycle {
    ignore_changes = [image_id] # as for the fixed nodes: -replace takes the newest
  }
}

# A new version of the template replaces edges one after another, each drained.
resource "aws_autoscaling_group" "edge" {
  count                     = local.scaled
  name                      = local.group
  min_size                  = var.autoscaled.min
  max_size                  = var.autoscaled.max
  vpc_zone_identifier       = [for zone in sort(keys(local.subnets)) : aws_subnet.zone[zone].id]
  health_check_type         = var.load_balancer ? "ELB" : "EC2"
  health_check_grace_period = 300
  default_instance_warmup   = 120
  target_group_arns         = [for t in aws_lb_target_group.edge : t.arn]
  wait_for_capacity_timeout = "0" # a node that waits for its token must not fail the apply
  enabled_metrics           = ["GroupInServiceInstances", "GroupDesiredCapacity"]
  launch_template {
    id      = aws_launch_template.edge[0].id
    version = aws_launch_template.edge[0].latest_version
  }
  initial_lifecycle_hook {
    name                 = "drain"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = var.drain_seconds
    default_result       = "CONTINUE"
  }
  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 90
    }
  }
  dynamic "tag" {
    for_each = merge(local.tags, { Name = local.group })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false # the template does, to volumes and interfaces too
    }
  }
  depends_on = [aws_route.ipv4, aws_route.ipv6, aws_route_table_association.zone, aws_iam_role_policy.scaled]
}

resource "aws_autoscaling_policy" "edge" {
  count                  = local.scaled
  name                   = "sent-bytes"
  autoscaling_group_name = aws_autoscaling_group.edge[0].name
  policy_type            = "TargetTrackingScaling"
  target_tracking_configuration {
    target_value = var.edge_target_gbps * 1e9 / 8 * 60 # bytes in a minute
    predefined_metric_specification {
      predefined_metric_type = "ASGAverageNetworkOut"
    }
  }
}
