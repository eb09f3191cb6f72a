-- For wrk: posts one file again and again, and prints what came of it as a line of JSON.
wrk.method = "POST"
wrk.headers["Content-Type"] = "image/png"
wrk.body = assert(io.open(os.getenv("PEER_IMAGE"), "rb")):read("*all")

function done(summary, latency)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  print(string.format(
    '{"answered":%d,"failed":%d,"seconds":%f,"p50Ms":%f,"p99Ms":%f}',
    summary.requests - errors.status, errors.status + lost, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
