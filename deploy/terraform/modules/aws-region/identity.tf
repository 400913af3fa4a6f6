# Each node may read its own parameters, /CLUSTER/nodes/NAME/*, and nothing else. Their
# contents never pass through Terraform: bin/push-secrets.sh puts them there.
locals {
  parameters = "arn:${data.aws_partition.here.partition}:ssm:${data.aws_region.here.name}:${data.aws_caller_identity.here.account_id}:parameter"
  decrypt = local.kms == null ? [] : [{
    Effect = "Allow", Action = "kms:Decrypt", Resource = local.kms
  }]
  assume = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
  policies = { for pair in setproduct(local.names, var.instance_policies) : "${pair[0]} ${pair[1]}" => { node = pair[0], arn = pair[1] } }
}

resource "aws_iam_role" "node" {
  for_each           = local.names
  name               = "${var.cluster_name}-${each.key}"
  assume_role_policy = local.assume
  tags               = local.tags
}

resource "aws_iam_role_policy" "node" {
  for_each = local.names
  name     = "own-secrets"
  role     = aws_iam_role.node[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Effect = "Allow", Action = "ssm:GetParameter", Resource = "${local.parameters}/${var.cluster_name}/nodes/${each.key}/*"
    }], local.decrypt)
  })
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each   = local.policies
  role       = aws_iam_role.node[each.value.node].name
  policy_arn = each.value.arn
}

resource "aws_iam_instance_profile" "node" {
  for_each = local.names
  name     = "${var.cluster_name}-${each.key}"
  role     = aws_iam_role.node[each.key].name
  tags     = local.tags
}
