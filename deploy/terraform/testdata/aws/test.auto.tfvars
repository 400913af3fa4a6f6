domain          = "live.example.com"
zone_id         = "Z"
binary          = { url = "http://192.0.2.9/tmms", sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
amis            = { eu = "ami-03cf127a", us = "ami-03cf127a" } # the emulator has it
operators_cidrs = ["192.0.2.0/24"]
autoscaled      = { min = 1, max = 3 }
load_balancer   = true
