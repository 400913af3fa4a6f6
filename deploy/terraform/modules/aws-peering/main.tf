resource "aws_vpc_peering_connection" "this" {
  provider    = aws.a
  vpc_id      = var.a.vpc_id
  peer_vpc_id = var.b.vpc_id
  peer_region = var.b.region
  tags        = merge(var.tags, { Name = var.name })
}

# A connection between two regions is accepted in the other one.
resource "aws_vpc_peering_connection_accepter" "this" {
  provider                  = aws.b
  vpc_peering_connection_id = aws_vpc_peering_connection.this.id
  auto_accept               = true
  tags                      = merge(var.tags, { Name = var.name })
}

# Packets go both ways only if both sides have a route in every table.
resource "aws_route" "a" {
  provider                  = aws.a
  for_each                  = var.a.route_tables
  route_table_id            = each.value
  destination_cidr_block    = var.b.cidr
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
}

resource "aws_route" "b" {
  provider                  = aws.b
  for_each                  = var.b.route_tables
  route_table_id            = each.value
  destination_cidr_block    = var.a.cidr
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
}
