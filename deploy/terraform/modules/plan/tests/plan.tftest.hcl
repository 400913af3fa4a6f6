# Nothing is made: every run is a plan.
variables {
  cluster = "live"
}

run "names_zones_and_addresses" {
  command = plan
  variables {
    domain = "live.example.com"
    regions = {
      eu = { provider = "aws", zones = ["a", "b", "c"], cidr = "10.1.0.0/16", origins = 4, edges = 2 }
    }
  }
  assert {
    condition     = output.names == tolist(["eu-e1", "eu-e2", "eu-o1", "eu-o2", "eu-o3", "eu-o4"])
    error_message = jsonencode(output.names)
  }
  assert {
    condition     = jsonencode({ for k, n in output.nodes : k => n.zone }) == jsonencode({ eu-e1 = "a", eu-e2 = "b", eu-o1 = "a", eu-o2 = "b", eu-o3 = "c", eu-o4 = "a" })
    error_message = "zones go round: ${jsonencode({ for k, n in output.nodes : k => n.zone })}"
  }
  assert {
    condition     = jsonencode({ for k, n in output.nodes : k => n.address }) == jsonencode({ eu-e1 = "10.1.15.255", eu-e2 = "10.1.47.254", eu-o1 = "10.1.0.4", eu-o2 = "10.1.32.5", eu-o3 = "10.1.64.6", eu-o4 = "10.1.0.7" })
    error_message = jsonencode({ for k, n in output.nodes : k => n.address })
  }
  assert {
    condition     = output.subnets["eu/b"].cidr == "10.1.32.0/19" && output.subnets["eu/b"].fixed == "10.1.32.0/20" && output.nodes["eu-o2"].subnet_index == 1
    error_message = jsonencode(output.subnets)
  }
  assert {
    condition     = output.nodes["eu-o1"].public_address == null && length(output.dns) == 0
    error_message = "a cloud's public addresses are not known to the plan: ${jsonencode(output.dns)}"
  }
}

run "voters_stand_apart" {
  command = plan
  variables {
    voters = 5
    regions = {
      ap = { provider = "local", zones = ["a", "b", "c", "d", "e"], cidr = "10.1.0.0/16", origins = 5 }
      eu = { provider = "local", cidr = "10.2.0.0/16", origins = 2 }
      us = { provider = "local", cidr = "10.3.0.0/16", origins = 2 }
    }
  }
  assert {
    condition     = output.voter_names == tolist(["ap-o1", "ap-o2", "eu-o1", "eu-o2", "us-o1"])
    error_message = jsonencode(output.voter_names)
  }
  assert {
    condition     = output.survives.zone && output.survives.region
    error_message = jsonencode(output.survives)
  }
  assert {
    condition     = output.voters[0] == "ap-o1@10.1.0.4:7400" && output.join[4] == "10.3.0.4:7946"
    error_message = "${jsonencode(output.voters)} ${jsonencode(output.join)}"
  }
}

run "one_zone_is_no_majority" {
  command = plan
  variables {
    regions = {
      eu = { provider = "local", cidr = "10.1.0.0/16", origins = 3 }
      us = { provider = "local", zones = ["a", "b"], cidr = "10.2.0.0/16", origins = 2 }
    }
  }
  assert {
    condition     = output.voter_names == tolist(["eu-o1", "us-o1", "us-o2"]) && output.survives.zone && !output.survives.region
    error_message = jsonencode(output.voter_names)
  }
}

run "what_cannot_be_survived_is_said" {
  command = plan
  variables {
    regions = { eu = { provider = "local", cidr = "10.1.0.0/16", origins = 3 } }
  }
  assert {
    condition     = !output.survives.zone && !output.survives.region
    error_message = jsonencode(output.survives)
  }
}

run "pinned_voters_stay" {
  command = plan
  variables {
    pinned_voters = ["eu-o3", "eu-o1", "eu-o2"]
    regions = {
      ap = { provider = "local", cidr = "10.1.0.0/16", origins = 3 }
      eu = { provider = "local", cidr = "10.2.0.0/16", origins = 3 }
    }
  }
  assert {
    condition     = output.voter_names == tolist(["eu-o1", "eu-o2", "eu-o3"]) && output.nodes["eu-o1"].voter && !output.nodes["ap-o1"].voter
    error_message = jsonencode(output.voter_names)
  }
}

run "rented_servers" {
  command = plan
  variables {
    domain    = "live.example.com"
    addresses = { eu-o2 = "2001:db8::2" }
    regions = {
      eu = {
        provider = "ssh", zones = ["x", "y"], origins = 3, edges = 1, origins_serve = true
        hosts = {
          eu-e1 = { address = "203.0.113.4" }
          eu-o1 = { address = "203.0.113.1", zone = "x" }
          eu-o2 = { address = "203.0.113.2", zone = "x", private = "10.9.0.2" }
          eu-o3 = { address = "203.0.113.3", zone = "y", private = "10.9.0.3" }
        }
      }
    }
  }
  assert {
    condition     = output.nodes["eu-o3"].address == "10.9.0.3" && output.nodes["eu-o3"].zone == "y" && output.nodes["eu-e1"].public_address == "203.0.113.4"
    error_message = jsonencode(output.nodes)
  }
  assert {
    condition     = output.voters[1] == "eu-o2@[2001:db8::2]:7400" && output.nodes["eu-o2"].private_address == "10.9.0.2"
    error_message = jsonencode(output.voters)
  }
  assert {
    condition     = jsonencode(output.nodes["eu-o1"].roles) == jsonencode(["origin", "edge"]) && output.nodes["eu-o1"].host == "eu-o1.live.example.com"
    error_message = jsonencode(output.nodes["eu-o1"])
  }
}

run "records" {
  command = plan
  variables {
    domain           = "live.example.com"
    public_addresses = { eu-o1 = "192.0.2.1", eu-e1 = "192.0.2.2", us-e1 = "192.0.2.3" }
    voters           = 1
    regions = {
      eu = { provider = "aws", cidr = "10.1.0.0/16", origins = 1, edges = 1, latency_region = "eu-central-1" }
      us = { provider = "aws", cidr = "10.2.0.0/16", edges = 2 }
    }
  }
  assert {
    condition = jsonencode([for r in output.dns : "${r.policy} ${r.name} ${coalesce(r.alias, join(" ", r.records))}"]) == jsonencode([
      "simple eu-e1.live.example.com 192.0.2.2", "simple eu-o1.live.example.com 192.0.2.1", "simple us-e1.live.example.com 192.0.2.3",
      "multivalue edge.eu.live.example.com 192.0.2.2", "multivalue edge.us.live.example.com 192.0.2.3", "multivalue ingest.eu.live.example.com 192.0.2.1",
      "latency edge.live.example.com edge.eu.live.example.com", "latency edge.live.example.com edge.us.live.example.com", "latency ingest.live.example.com ingest.eu.live.example.com",
    ])
    error_message = jsonencode([for r in output.dns : "${r.policy} ${r.name} ${coalesce(r.alias, join(" ", r.records))}"])
  }
  assert {
    condition     = jsonencode([for r in output.dns : r.latency_region if r.policy == "latency"]) == jsonencode(["eu-central-1", "us", "eu-central-1"])
    error_message = jsonencode(output.dns)
  }
  assert {
    condition     = alltrue([for r in output.dns : r.policy == "multivalue" ? contains([8080, 1935], r.health.port) : r.health == null])
    error_message = jsonencode(output.dns)
  }
}

run "only_the_ports_of_the_design_are_open" {
  command = plan
  variables {
    regions = { eu = { provider = "local", cidr = "10.1.0.0/16", origins = 3 } }
  }
  assert {
    condition = jsonencode(sort([for r in output.firewall : "${r.from} ${r.port}/${r.protocol}"])) == jsonencode([
      "nodes 7400/udp", "nodes 7946/tcp", "nodes 7946/udp", "operators 8090/tcp",
      "world 1935/tcp", "world 1936/tcp", "world 8080/tcp", "world 8443/tcp", "world 8443/udp",
    ])
    error_message = jsonencode(output.firewall)
  }
}

run "capacity_and_cost" {
  command = plan
  variables {
    prices = { aws = { egress_gb = 0.09, host_month = 125 }, cheap = { egress_gb = 0.001, host_month = 100 } }
    regions = {
      # 0.9 x 10 Gbit/s / 2 Mbit/s: the network first.
      eu = { provider = "aws", cidr = "10.1.0.0/16", origins = 3, edges = 2, autoscaled = { min = 1, max = 4 } }
      # 1 loop x 0.8 / 100 us: the processor first.
      us = { provider = "aws", price = "cheap", cidr = "10.2.0.0/16", edges = 1, edge_gbps = 100, edge_cores = 2 }
    }
  }
  assert {
    condition     = output.capacity.by_region["eu"].viewers == 13500 && output.capacity.by_region["eu"].viewers_max == 27000 && output.capacity.by_region["eu"].limit == "network"
    error_message = jsonencode(output.capacity)
  }
  assert {
    condition     = output.capacity.by_region["us"].viewers == 8000 && output.capacity.by_region["us"].limit == "cpu"
    error_message = jsonencode(output.capacity)
  }
  assert {
    condition     = output.capacity.viewers == 21500 && output.capacity.gbps == 43
    error_message = jsonencode(output.capacity)
  }
  assert {
    # 27 Gbit/s are 12,150 GB an hour, 16 are 7,200.
    condition     = output.cost.by_provider["aws"].egress_per_hour == 1093.5 && output.cost.by_provider["cheap"].egress_per_hour == 7.2 && output.cost.egress_per_hour == 1100.7
    error_message = jsonencode(output.cost)
  }
  assert {
    condition     = output.cost.hosts_per_month == 6 * 125 + 100 && output.cost.by_provider["aws"].egress_per_viewer_hour == 0.081
    error_message = jsonencode(output.cost)
  }
}

run "descriptors_end_slow_streams" {
  command = plan
  variables {
    viewer_mbps = 0.05
    regions     = { eu = { provider = "local", cidr = "10.1.0.0/16", origins = 3, edges = 1, edge_gbps = 100, edge_cores = 256 } }
  }
  assert {
    condition     = output.capacity.viewers == 1032192 && output.capacity.by_region["eu"].limit == "descriptors"
    error_message = jsonencode(output.capacity)
  }
}
