package watch

// alertCase has series, a minute between two values, one of which makes an alert fire
// and the other, close to it, does not.
type alertCase struct {
	alert, fires, calm string
	at                 string // when to look; "": after half an hour
}

var alertCases = []alertCase{
	{
		alert: "TmmsNoLeader",
		fires: `tmms_cluster_leader{cluster="c",node="o1"} | 0x30
		        tmms_cluster_leader{cluster="c",node="o2"} | 0x30`,
		calm: `tmms_cluster_leader{cluster="c",node="o1"} | 0x30
		       tmms_cluster_leader{cluster="c",node="o2"} | 1x30`,
	},
	{
		alert: "TmmsTwoLeaders",
		fires: `tmms_cluster_leader{cluster="c",node="o1"} | 1x30
		        tmms_cluster_leader{cluster="c",node="o2"} | 1x30`,
		calm: `tmms_cluster_leader{cluster="c",node="o1"} | 1x30
		       tmms_cluster_leader{cluster="d",node="o1"} | 1x30`,
	},
	{
		alert: "TmmsQuorumMarginLost",
		fires: `tmms_cluster_voters{cluster="c",node="o1",state="alive"} | 2x30
		        tmms_cluster_voters{cluster="c",node="o1",state="silent"} | 1x30
		        tmms_cluster_voters{cluster="c",node="o2",state="alive"} | 0x30
		        tmms_cluster_voters{cluster="c",node="o2",state="silent"} | 0x30`,
		calm: `tmms_cluster_voters{cluster="five",node="o1",state="alive"} | 4x30
		       tmms_cluster_voters{cluster="five",node="o1",state="silent"} | 1x30
		       tmms_cluster_voters{cluster="one",node="o1",state="alive"} | 1x30
		       tmms_cluster_voters{cluster="one",node="o1",state="silent"} | 0x30`,
	},
	{
		alert: "TmmsNodeDown",
		fires: `up{job="tmms",cluster="c",node="o1"} | 0x30`,
		calm: `up{job="tmms",cluster="c",node="o1"} | 1x27 0 1x5
		       up{job="other",cluster="c",node="o1"} | 0x30`,
	},
	{
		alert: "TmmsNodeRestarts",
		fires: `process_start_time_seconds{job="tmms",node="o1"} | 0x8 1x8 2x8 3x8`,
		calm:  `process_start_time_seconds{job="tmms",node="o1"} | 0x8 1x8 2x16`,
	},
	{
		alert: "TmmsDiskStuck",
		fires: `tmms_cluster_disk_stuck{node="o1"} | 1x30`,
		calm:  `tmms_cluster_disk_stuck{node="o1"} | 0x30`,
	},
	{
		alert: "TmmsDiskSlow",
		fires: `tmms_cluster_disk_slow_writes_total{node="o1"} | 0+1x30`,
		calm:  `tmms_cluster_disk_slow_writes_total{node="o1"} | 7x27 8x5`,
	},
	{
		alert: "TmmsCommitSlow",
		fires: `tmms_cluster_commit_seconds_bucket{cluster="c",node="o1",le="1.024"} | 0+90x30
		        tmms_cluster_commit_seconds_bucket{cluster="c",node="o1",le="2.048"} | 0+100x30
		        tmms_cluster_commit_seconds_bucket{cluster="c",node="o1",le="+Inf"} | 0+100x30`,
		calm: `tmms_cluster_commit_seconds_bucket{cluster="c",node="o1",le="0.512"} | 0+100x30
		       tmms_cluster_commit_seconds_bucket{cluster="c",node="o1",le="1.024"} | 0+100x30
		       tmms_cluster_commit_seconds_bucket{cluster="c",node="o1",le="+Inf"} | 0+100x30`,
	},
	{
		alert: "TmmsCertificateExpires", at: "2h",
		fires: `tmms_fabric_certificate_expiry_timestamp_seconds{node="o1"} | 2500000x150`,
		calm:  `tmms_fabric_certificate_expiry_timestamp_seconds{node="o1"} | 2700000x150`,
	},
	{
		alert: "TmmsCertificateEnds", at: "2h",
		fires: `tmms_fabric_certificate_expiry_timestamp_seconds{node="o1"} | 250000x150`,
		calm:  `tmms_fabric_certificate_expiry_timestamp_seconds{node="o1"} | 300000x150`,
	},
	{
		alert: "TmmsHandshakesRefused",
		fires: `tmms_fabric_refused_total{node="o1"} | 0+2x30`,
		calm:  `tmms_fabric_refused_total{node="o1"} | 0+0.5x30`,
	},
	{
		alert: "TmmsClockSkew",
		fires: `tmms_node_time_seconds{node="o1"} | -2+60x30`,
		calm:  `tmms_node_time_seconds{node="o1"} | 0.3+60x30`,
	},
	{
		alert: "TmmsGossipUnhealthy",
		fires: `tmms_gossip_health_score{node="o1"} | 2x30`,
		calm:  `tmms_gossip_health_score{node="o1"} | 2x25 0x5`,
	},
	{
		alert: "TmmsSchedulingDelay",
		fires: `tmms_node_scheduling_delay_seconds_bucket{node="o1",le="0.05"} | 0+90x30
		        tmms_node_scheduling_delay_seconds_bucket{node="o1",le="0.1"} | 0+100x30
		        tmms_node_scheduling_delay_seconds_bucket{node="o1",le="+Inf"} | 0+100x30`,
		calm: `tmms_node_scheduling_delay_seconds_bucket{node="o1",le="0.035"} | 0+100x30
		       tmms_node_scheduling_delay_seconds_bucket{node="o1",le="0.05"} | 0+100x30
		       tmms_node_scheduling_delay_seconds_bucket{node="o1",le="+Inf"} | 0+100x30`,
	},
	{
		alert: "TmmsConfigBehind",
		fires: `tmms_config_revision{cluster="c",node="o1"} | 7x30
		        tmms_config_revision{cluster="c",node="e1"} | 6x30`,
		calm: `tmms_config_revision{cluster="c",node="o1"} | 7x30
		       tmms_config_revision{cluster="c",node="e1"} | 6x20 7x10
		       tmms_config_revision{cluster="d",node="o1"} | 3x30`,
	},
	{
		alert: "TmmsDrainedLong", at: "7h",
		fires: `tmms_node_drained{node="o1"} | 1x420`,
		calm:  `tmms_node_drained{node="o1"} | 0x120 1x300`,
	},
	{
		alert: "TmmsDescriptorsRunOut",
		fires: `process_open_fds{job="tmms",node="e1"} | 950x30
		        process_max_fds{job="tmms",node="e1"} | 1000x30`,
		calm: `process_open_fds{job="tmms",node="e1"} | 850x30
		       process_max_fds{job="tmms",node="e1"} | 1000x30`,
	},
	{
		alert: "TmmsStreamsExposed",
		fires: `tmms_origin_exposed_streams{node="o1"} | 1x30`,
		calm:  `tmms_origin_exposed_streams{node="o1"} | 1x25 0x5`,
	},
	{
		alert: "TmmsStandbysMissing",
		fires: `tmms_cluster_leader{cluster="c",node="o1"} | 1x30
		        tmms_cluster_leader{cluster="c",node="o2"} | 0x30
		        tmms_cluster_placements{cluster="c",node="o1"} | 3x30
		        tmms_cluster_standbys{cluster="c",node="o1",in_sync="true"} | 2x30
		        up{job="tmms",role="origin",cluster="c",node="o1"} | 1x30
		        up{job="tmms",role="origin",cluster="c",node="o2"} | 1x30`,
		calm: `tmms_cluster_leader{cluster="c",node="o1"} | 1x30
		       tmms_cluster_leader{cluster="c",node="o2"} | 0x30
		       tmms_cluster_placements{cluster="c",node="o1"} | 3x30
		       tmms_cluster_standbys{cluster="c",node="o1",in_sync="true"} | 3x30
		       tmms_cluster_placements{cluster="c",node="o2"} | 9x30
		       up{job="tmms",role="origin",cluster="c",node="o1"} | 1x30
		       up{job="tmms",role="origin",cluster="c",node="o2"} | 1x30
		       tmms_cluster_leader{cluster="one",node="o1"} | 1x30
		       tmms_cluster_placements{cluster="one",node="o1"} | 3x30
		       tmms_cluster_standbys{cluster="one",node="o1",in_sync="true"} | 0x30
		       up{job="tmms",role="origin",cluster="one",node="o1"} | 1x30`,
	},
	{
		alert: "TmmsStandbysLost",
		fires: `tmms_relay_standby_lost_total{node="o1",reason="behind"} | 0+1x30`,
		calm:  `tmms_relay_standby_lost_total{node="o1",reason="behind"} | 0x25 1x5`,
	},
	{
		alert: "TmmsOwnersDie",
		fires: `tmms_cluster_deaths_total{cluster="c",node="o1",path="silence"} | 0x25 1x5`,
		calm:  `tmms_cluster_deaths_total{cluster="c",node="o1",path="silence"} | 0x3 1x27`,
	},
	{
		alert: "TmmsEpochsFenced",
		fires: `tmms_cluster_epoch_fences_total{node="o1"} | 0+1x30`,
		calm:  `tmms_cluster_epoch_fences_total{node="o1"} | 0x25 2x5`,
	},
	{
		alert: "TmmsStreamsMove",
		fires: `tmms_cluster_moves_total{cluster="c",node="o1",reason="balance"} | 0+1x30`,
		calm: `tmms_cluster_moves_total{cluster="c",node="o1",reason="balance"} | 0+0.1x30
		       tmms_cluster_moves_total{cluster="c",node="o1",reason="owner"} | 0+9x30`,
	},
	{
		alert: "TmmsPublishersRefused",
		fires: `tmms_origin_refused_connections_total{node="o1"} | 0x25 1x5`,
		calm:  `tmms_origin_refused_connections_total{node="o1"} | 0x5 1x25`,
	},
	{
		alert: "TmmsPacketsDropped",
		fires: `tmms_origin_dropped_packets_total{node="o1",reason="late"} | 0+90x30`,
		calm:  `tmms_origin_dropped_packets_total{node="o1",reason="late"} | 0+30x30`,
	},
	{
		alert: "TmmsEdgeBusy",
		fires: `tmms_edge_loop_busy_ratio{node="e1",loop="0"} | 0.2x30
		        tmms_edge_loop_busy_ratio{node="e1",loop="1"} | 0.95x30`,
		calm: `tmms_edge_loop_busy_ratio{node="e1",loop="0"} | 0.85x30`,
	},
	{
		alert: "TmmsEdgeStretched",
		fires: `tmms_edge_flush_stretch_ratio{node="e1",loop="0"} | 2x30`,
		calm:  `tmms_edge_flush_stretch_ratio{node="e1",loop="0"} | 2x25 1x5`,
	},
	{
		alert: "TmmsLoopStuck",
		fires: `tmms_edge_loop_overdue_seconds{node="e1",loop="0"} | 1+60x30`,
		calm:  `tmms_edge_loop_overdue_seconds{node="e1",loop="0"} | 0.02x30`,
	},
	{
		alert: "TmmsViewersNearLimit",
		fires: `tmms_edge_viewers{node="e1",proto="flv"} | 50x30
		        tmms_edge_viewers{node="e1",proto="rtmp"} | 45x30
		        tmms_edge_viewers_limit{node="e1"} | 100x30`,
		calm: `tmms_edge_viewers{node="e1",proto="flv"} | 85x30
		       tmms_edge_viewers{node="e1",proto="hls"} | 85x30
		       tmms_edge_viewers_limit{node="e1"} | 100x30
		       tmms_edge_viewers{node="e2",proto="flv"} | 85000x30
		       tmms_edge_viewers_limit{node="e2"} | 0x30`,
	},
	{
		alert: "TmmsViewersSkip",
		fires: `tmms_edge_viewer_skips_total{node="e1"} | 0+300x30
		        tmms_edge_viewers{node="e1",proto="flv"} | 100x30`,
		calm: `tmms_edge_viewer_skips_total{node="e1"} | 0+60x30
		       tmms_edge_viewers{node="e1",proto="flv"} | 100x30`,
	},
	{
		alert: "TmmsViewersLost",
		fires: `tmms_edge_closed_total{node="e1",reason="lag"} | 0+50x30
		        tmms_edge_closed_total{node="e1",reason="stalled"} | 0+50x30`,
		calm: `tmms_edge_closed_total{node="e1",reason="lag"} | 0+30x30
		       tmms_edge_closed_total{node="e1",reason="peer"} | 0+900x30`,
	},
	{
		alert: "TmmsViewersRefused",
		fires: `tmms_edge_closed_total{node="e1",reason="full"} | 0+1x30`,
		calm: `tmms_edge_closed_total{node="e1",reason="full"} | 5x30
		       tmms_edge_closed_total{node="e1",reason="refused"} | 0+9x30`,
	},
	{
		alert: "TmmsAcceptErrors",
		fires: `tmms_edge_accept_errors_total{node="e1",loop="0"} | 0+1x30`,
		calm:  `tmms_edge_accept_errors_total{node="e1",loop="0"} | 4x30`,
	},
	{
		alert: "TmmsRelayLag",
		fires: `tmms_relay_lag_seconds_bucket{node="e1",le="1.024"} | 0+90x30
		        tmms_relay_lag_seconds_bucket{node="e1",le="2.048"} | 0+100x30
		        tmms_relay_lag_seconds_bucket{node="e1",le="+Inf"} | 0+100x30`,
		calm: `tmms_relay_lag_seconds_bucket{node="e1",le="0.512"} | 0+100x30
		       tmms_relay_lag_seconds_bucket{node="e1",le="1.024"} | 0+100x30
		       tmms_relay_lag_seconds_bucket{node="e1",le="+Inf"} | 0+100x30`,
	},
	{
		alert: "TmmsPullsStuck",
		fires: `tmms_edge_pulls{node="e1",state="connecting"} | 2x30`,
		calm: `tmms_edge_pulls{node="e1",state="connecting"} | 2x28 0x5
		       tmms_edge_pulls{node="e1",state="live"} | 200x30`,
	},
	{
		alert: "TmmsGroupsAbandoned",
		fires: `tmms_relay_abandoned_groups_total{node="o1"} | 0+12x30`,
		calm:  `tmms_relay_abandoned_groups_total{node="o1"} | 0+3x30`,
	},
	{
		alert: "TmmsPathLossy",
		fires: `tmms_fabric_peer_loss_ratio{node="o1",peer="e1"} | 0.08x30`,
		calm:  `tmms_fabric_peer_loss_ratio{node="o1",peer="e1"} | 0.03x30`,
	},
	{
		alert: "TmmsPathsSilent",
		fires: `tmms_fabric_silent_sessions_total{node="o1"} | 0+1x30`,
		calm:  `tmms_fabric_silent_sessions_total{node="o1"} | 0x27 2x5`,
	},
}
