resource "aws_vpc" "this" {
  cidr_block                       = var.cidr
  assign_generated_ipv6_cidr_block = true
  enable_dns_support               = true
  enable_dns_hostnames             = true
  tags                             = merge(local.tags, { Name = local.prefix })
}

# Nothing is said to the group that AWS makes by itself, and nobody may use it.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${local.prefix}-unused" })
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = local.prefix })
}

resource "aws_subnet" "zone" {
  for_each                        = local.subnets
  vpc_id                          = aws_vpc.this.id
  availability_zone               = each.key
  cidr_block                      = each.value.cidr
  ipv6_cidr_block                 = cidrsubnet(aws_vpc.this.ipv6_cidr_block, 8, each.value.index)
  assign_ipv6_address_on_creation = true
  tags                            = merge(local.tags, { Name = "${local.prefix}-${each.key}" })
}

# The upper half of a zone's subnet is for autoscaled edges, and so the lower one, of
# fixed addresses, must not be given to anybody else.
resource "aws_ec2_subnet_cidr_reservation" "fixed" {
  for_each         = local.subnets
  subnet_id        = aws_subnet.zone[each.key].id
  cidr_block       = each.value.fixed
  reservation_type = "explicit"
  description      = "fixed addresses of nodes"
}

# Routes are resources of their own: modules/aws-peering adds to them.
resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${local.prefix}-public" })
}

resource "aws_route" "ipv4" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route" "ipv6" {
  route_table_id              = aws_route_table.public.id
  destination_ipv6_cidr_block = "::/0"
  gateway_id                  = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "zone" {
  for_each       = local.subnets
  subnet_id      = aws_subnet.zone[each.key].id
  route_table_id = aws_route_table.public.id
}
