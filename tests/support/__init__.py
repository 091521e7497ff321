"""What several tests need: made inputs, processes, a browser. Nothing here is tested."""
