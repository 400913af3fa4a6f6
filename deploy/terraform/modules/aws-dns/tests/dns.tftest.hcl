mock_provider "aws" {}

variables {
  zone_id = "Z1"
  ipv6    = { eu-e1 = "2001:db8::1" }
  records = [
    { name = "eu-e1.x.example", type = "A", ttl = 300, policy = "simple", region = "eu", node = "eu-e1", records = ["192.0.2.1"] },
    { name = "edge.eu.x.example", type = "A", ttl = 30, policy = "multivalue", region = "eu", node = "eu-e1", records = ["192.0.2.1"], health = { port = 8080, path = "/", protocol = "HTTP" } },
    { name = "edge.us.x.example", type = "A", ttl = 30, policy = "multivalue", region = "us", node = "us-e1", records = ["192.0.2.2"], health = { port = 8080, path = "/", protocol = "HTTP" } },
    { name = "ingest.us.x.example", type = "A", ttl = 30, policy = "multivalue", region = "us", node = "us-o1", records = ["192.0.2.3"], health = { port = 1935, path = "", protocol = "TCP" } },
    { name = "edge.x.example", type = "A", policy = "latency", region = "eu", latency_region = "eu-central-1", alias = "edge.eu.x.example", records = [] },
    { name = "edge.x.example", type = "A", policy = "latency", region = "us", latency_region = "us-east-1", alias = "edge.us.x.example", records = [] },
    { name = "ingest.x.example", type = "A", policy = "latency", region = "us", latency_region = "us-east-1", alias = "ingest.us.x.example", records = [] },
  ]
}

run "records" {
  assert {
    condition     = { for k, r in aws_route53_record.node : k => one(r.records) } == { "eu-e1.x.example A" = "192.0.2.1", "eu-e1.x.example AAAA" = "2001:db8::1" }
    error_message = "names of nodes: ${jsonencode(aws_route53_record.node)}"
  }
  assert {
    condition = { for k, r in aws_route53_record.latency : k => "${one(r.latency_routing_policy).region} ${one(r.alias).name}" } == {
      "edge.x.example A eu"    = "eu-central-1 edge.eu.x.example"
      "edge.x.example AAAA eu" = "eu-central-1 edge.eu.x.example"
      "edge.x.example A us"    = "us-east-1 edge.us.x.example"
      "ingest.x.example A us"  = "us-east-1 ingest.us.x.example"
    }
    error_message = "names that follow latency: ${jsonencode(aws_route53_record.latency)}"
  }
  assert {
    condition     = alltrue([for r in values(aws_route53_record.latency) : one(r.alias).evaluate_target_health])
    error_message = "an alias does not follow the health of what is behind it"
  }
  assert {
    condition = { for k, h in aws_route53_health_check.node : k => "${h.type} ${h.ip_address} ${h.port}" } == {
      "edge.eu.x.example A eu-e1"    = "HTTP 192.0.2.1 8080"
      "edge.eu.x.example AAAA eu-e1" = "HTTP 2001:db8::1 8080"
      "edge.us.x.example A us-e1"    = "HTTP 192.0.2.2 8080"
      "ingest.us.x.example A us-o1"  = "TCP 192.0.2.3 1935"
    }
    error_message = "health checks: ${jsonencode(aws_route53_health_check.node)}"
  }
  assert {
    condition     = alltrue([for k, r in aws_route53_record.pool : r.health_check_id == aws_route53_health_check.node[k].id && r.multivalue_answer_routing_policy])
    error_message = "a record of several has no health check"
  }
}

run "load_balancer" {
  variables {
    load_balancers = { eu = { name = "lb.eu.example", zone_id = "ZLB" } }
  }
  assert {
    condition     = one(aws_route53_record.latency["edge.x.example A eu"].alias) == { name = "lb.eu.example", zone_id = "ZLB", evaluate_target_health = true }
    error_message = "edge. does not lead to the load balancer"
  }
  assert {
    condition     = one(aws_route53_record.latency["edge.x.example A us"].alias).name == "edge.us.x.example"
    error_message = "another region's edge. changed"
  }
}

run "unknown_policy" {
  command = plan
  variables {
    records = [{ name = "a.x.example", type = "A", policy = "nearest", region = "eu", records = [] }]
  }
  expect_failures = [var.records]
}
