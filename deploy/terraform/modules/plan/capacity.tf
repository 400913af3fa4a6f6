# The figures are docs/capacity.md's; the README says what is taken for granted.
locals {
  cpu_seconds_per_viewer = 100e-6          # of a loop a second, at 2 Mbit/s and a flush every 100 ms
  loop_share             = 0.8             # of a loop's core that is planned with
  network_share          = 0.9             # of an edge's network
  descriptors            = 1048576 - 16384 # LimitNOFILE, less what is not a viewer's

  # What one edge of a region carries, and what ends it.
  edge_limits = { for k, r in var.regions : k => {
    network     = floor(local.network_share * r.edge_gbps * 1000 / var.viewer_mbps)
    cpu         = floor(max(1, floor(r.edge_cores) - 1) * local.loop_share / (local.cpu_seconds_per_viewer * max(1, var.viewer_mbps / 2)))
    descriptors = local.descriptors
  } }
  edge_viewers = { for k, l in local.edge_limits : k => min(values(l)...) }

  serving = { for k, r in var.regions : k => r.edges + (r.origins_serve ? r.origins : 0) + try(r.autoscaled.min, 0) }
  spread  = { for k, r in var.regions : k => try(r.autoscaled.max - r.autoscaled.min, 0) }
  by_region = { for k, r in var.regions : k => {
    edges       = local.serving[k]
    viewers     = local.serving[k] * local.edge_viewers[k]
    viewers_max = (local.serving[k] + local.spread[k]) * local.edge_viewers[k]
    gbps        = local.serving[k] * local.edge_viewers[k] * var.viewer_mbps / 1000
    limit       = [for what in ["network", "cpu", "descriptors"] : what if local.edge_limits[k][what] == local.edge_viewers[k]][0]
  } }

  # 1 Gbit/s is 450 GB an hour.
  costs = { for k, r in var.regions : k => {
    key             = coalesce(r.price, r.provider)
    egress_per_hour = local.by_region[k].gbps * 450 * var.prices[coalesce(r.price, r.provider)].egress_gb
    hosts_per_month = (r.origins + r.edges + try(r.autoscaled.min, 0)) * var.prices[coalesce(r.price, r.provider)].host_month
  } }
}
