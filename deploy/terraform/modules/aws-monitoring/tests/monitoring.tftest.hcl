mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  cluster_name = "live"
  nodes        = { eu-o1 = { name = "eu-o1", region = "eu", kind = "origin", private_address = "10.1.0.4" } }
  peer         = { vpc_id = "vpc-1", cidr = "10.1.0.0/16", region = "eu-central-1", route_tables = { public = "rtb-1" } }
  cidr         = "10.1.0.0/16"
  zone         = "eu-central-1a"
  ami          = "ami-12345678"
}

run "closed" {
  variables {
    operators_cidrs = ["192.0.2.0/24"]
  }
  assert {
    condition     = aws_subnet.this.cidr_block == "10.1.255.240/28" && output.address == "10.1.255.244" && aws_instance.this.private_ip == "10.1.255.244"
    error_message = "it stands at ${output.address} in ${aws_subnet.this.cidr_block}"
  }
  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.ssh) == 0
    error_message = "open without a key"
  }
  assert {
    condition     = one(aws_instance.this.metadata_options).http_tokens == "required" && one(aws_instance.this.root_block_device).encrypted
    error_message = "IMDSv1, or a disk that is not encrypted"
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.this.policy).Statement == [{
      Action = "ssm:GetParameter", Effect = "Allow", Resource = "arn:aws:ssm:eu-central-1:123456789012:parameter/live/monitoring/*"
    }]
    error_message = "it may do more than read its secrets: ${aws_iam_role_policy.this.policy}"
  }
}

run "whole" {
  variables {
    cidr            = "10.3.2.0/24"
    autoscaled      = ["eu-central-1"]
    grafana         = { url = "https://example.com/grafana_1_amd64.deb", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
    key_name        = "ops"
    operators_cidrs = ["192.0.2.0/24", "2001:db8:5::/48"]
  }
  assert {
    condition     = output.address == "10.3.2.244"
    error_message = output.address
  }
  assert {
    condition     = toset([for r in values(aws_vpc_security_group_ingress_rule.ssh) : "${r.from_port} ${coalesce(r.cidr_ipv4, r.cidr_ipv6)}"]) == toset(["22 192.0.2.0/24", "22 2001:db8:5::/48"])
    error_message = "SSH: want the operators' networks alone"
  }
  assert {
    condition     = length([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s if s.Resource == "*" && s.Action == ["ec2:DescribeInstances", "ec2:DescribeAvailabilityZones"]]) == 1
    error_message = aws_iam_role_policy.this.policy
  }
  assert {
    condition     = strcontains(output.user_data, "get admin.password \"$PASSWORD\"") && strcontains(output.user_data, "get token \"$TOKEN\"")
    error_message = "the secrets are not fetched"
  }
  assert {
    condition     = length(aws_instance.this.user_data_base64) * 3 / 4 <= 16384
    error_message = "user data has ${length(aws_instance.this.user_data_base64) * 3 / 4} bytes"
  }
}

run "world_open_ssh" {
  command = plan
  variables {
    operators_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.operators_cidrs]
}
