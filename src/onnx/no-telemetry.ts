/* Imported before onnxruntime-node, which reads the variable as it loads: it would keep a database of events in the home
   folder and upload it. A thread's process.env is a copy that native code never sees, so whoever starts threads that run
   models imports this too. */
process.env['ORT_DISABLE_TELEMETRY'] = '1';
