mock_provider "hcloud" {
  mock_resource "hcloud_primary_ip" {
    defaults = { id = 7, ip_address = "203.0.113.7", ip_network = "2001:db8:7::/64" }
  }
  mock_resource "hcloud_network" {
    defaults = { id = "1" }
  }
  mock_resource "hcloud_network_subnet" {
    defaults = { id = "1-10.1.0.0/19" }
  }
  mock_resource "hcloud_firewall" {
    defaults = { id = "2" }
  }
  mock_resource "hcloud_placement_group" {
    defaults = { id = "3" }
  }
  mock_resource "hcloud_volume" {
    defaults = { id = "4711" }
  }
  mock_resource "hcloud_server" {
    defaults = { id = "5", ipv6_address = "2001:db8:7::1" }
  }
}

run "plan" {
  module {
    source = "../plan"
  }
  variables {
    cluster = "live"
    domain  = "live.example.com"
    regions = {
      eu = { provider = "hcloud", zones = ["fsn1", "nbg1"], cidr = "10.1.0.0/16", origins = 12, edges = 2 }
      us = { provider = "aws", zones = ["us-east-1a"], cidr = "10.2.0.0/16", origins = 1 }
    }
  }
}

variables {
  region          = "eu"
  cluster_name    = "live"
  cidr            = "10.1.0.0/16"
  nodes_cidrs     = ["192.0.2.200/32"]
  operators_cidrs = ["192.0.2.0/24", "2001:db8:5::/48"]
  binary          = { url = "https://example.com/tmms", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
}

run "nodes" {
  variables {
    zones    = run.plan.zones
    nodes    = run.plan.nodes
    cluster  = run.plan.cluster
    subnets  = run.plan.subnets
    firewall = run.plan.firewall
  }
  assert {
    condition     = length(hcloud_server.node) == 14 && hcloud_server.node["eu-o1"].location == "fsn1" && hcloud_server.node["eu-o2"].location == "nbg1"
    error_message = "servers are not spread over the zones"
  }
  assert {
    condition     = alltrue([for k, s in hcloud_server.node : one(s.network).ip == run.plan.nodes[k].private_address && one(s.public_net).ipv4 == hcloud_primary_ip.ipv4[k].id])
    error_message = "a server has not the plan's private address, or not its name's public one"
  }
  assert {
    condition     = keys(hcloud_primary_ip.ipv4) == keys(hcloud_server.node) && alltrue([for k, ip in hcloud_primary_ip.ipv4 : ip.location == hcloud_server.node[k].location && !ip.auto_delete])
    error_message = "want an address for each server where it stands, that outlives it"
  }
  assert {
    condition     = length(hcloud_volume.data) == 12 && length(hcloud_volume_attachment.data) == 12 && alltrue([for k, v in hcloud_volume.data : v.location == hcloud_server.node[k].location && v.delete_protection])
    error_message = "want a protected volume for each origin in its zone"
  }
  assert {
    condition     = strcontains(output.user_data["eu-o1"], "DISK='/dev/disk/by-id/scsi-0HC_Volume_4711'") && !strcontains(output.user_data["eu-e1"], "HC_Volume")
    error_message = "an origin does not know its volume"
  }
  assert {
    condition     = keys(hcloud_placement_group.origins) == ["fsn1-0", "fsn1-1", "nbg1-0", "nbg1-1"] && hcloud_server.node["eu-e1"].placement_group_id == null
    error_message = "placement groups ${jsonencode(keys(hcloud_placement_group.origins))}"
  }
  assert {
    condition = toset([for r in hcloud_firewall.node.rule : "${r.protocol} ${r.port}" if contains(r.source_ips, "0.0.0.0/0")]) == toset(
    ["tcp 1935", "tcp 1936", "tcp 8080", "tcp 8443", "udp 8443"])
    error_message = "open to the world: ${jsonencode([for r in hcloud_firewall.node.rule : "${r.protocol} ${r.port}" if contains(r.source_ips, "0.0.0.0/0")])}"
  }
  assert {
    condition     = alltrue([for r in hcloud_firewall.node.rule : r.source_ips == toset(["203.0.113.7/32", "2001:db8:7::/64", "192.0.2.200/32"]) if contains(["7400", "7946"], r.port)])
    error_message = "fabric and gossip: want the nodes alone"
  }
  assert {
    condition     = alltrue([for r in hcloud_firewall.node.rule : r.source_ips == toset(["192.0.2.0/24", "2001:db8:5::/48"]) if contains(["22", "8090"], r.port)])
    error_message = "SSH and admin: want the operators alone"
  }
  assert {
    condition     = alltrue([for s in hcloud_server.node : s.shutdown_before_deletion])
    error_message = "a server is deleted without a drain"
  }
}

run "no_operators" {
  variables {
    zones           = run.plan.zones
    nodes           = run.plan.nodes
    cluster         = run.plan.cluster
    subnets         = run.plan.subnets
    firewall        = run.plan.firewall
    operators_cidrs = []
  }
  assert {
    condition     = length([for r in hcloud_firewall.node.rule : r if contains(["22", "8090"], r.port)]) == 0 && length(hcloud_firewall.node.rule) == 8
    error_message = "a rule for nobody"
  }
}

run "world_open_admin" {
  command = plan
  variables {
    zones           = run.plan.zones
    nodes           = run.plan.nodes
    cluster         = run.plan.cluster
    subnets         = run.plan.subnets
    firewall        = run.plan.firewall
    operators_cidrs = ["::/0"]
  }
  expect_failures = [var.operators_cidrs]
}
