# A group of V voters lives while more than half of them do: V - 1 over 2 may be lost at
# a time. So many at most stand in one zone, and so many at most in one region, as far as
# the plan has other zones and regions to offer:
#
#   class 0  the region has not given its share yet (then no zone has either)
#   class 1  the zone has not
#   class 2  what is left
#
# Within a class the regions take turns, and within a region the zones.
locals {
  share = floor((var.voters - 1) / 2)

  bare_origins = { for name, n in local.nodes_bare : name => n if n.kind == "origin" }

  # How many origins with lower numbers stand in the same zone.
  repeats = { for name, n in local.bare_origins : name => length([
    for other in values(local.bare_origins) : 1 if other.region == n.region && other.zone == n.zone && other.index < n.index
  ]) }
  # The origins of a region in the order in which they are taken: zone after zone.
  turns = { for k, r in var.regions : k => values({
    for name, n in local.bare_origins : format("%03d %03d", local.repeats[name], n.index) => name if n.region == k
  }) }
  ranked = values(merge([for k, names in local.turns : {
    for turn, name in names : format("%d %03d %s",
      turn < local.share ? 0 : local.repeats[name] < local.share ? 1 : 2, turn, k
    ) => name
  }]...))

  voter_names = sort(length(var.pinned_voters) > 0 ? var.pinned_voters : slice(local.ranked, 0, min(var.voters, length(local.ranked))))

  # What the group survives, counted from the voters as they are.
  spare           = floor((length(local.voter_names) - 1) / 2)
  voters_a_zone   = values({ for v in local.voter_names : "${local.nodes_bare[v].region}/${local.nodes_bare[v].zone}" => v... })
  voters_a_region = values({ for v in local.voter_names : local.nodes_bare[v].region => v... })
}
