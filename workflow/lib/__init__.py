"""The library behind the workflow, in rooms; each imports only from those before it in `ROOMS`."""

ROOMS = ("common", "plan", "data", "protocols", "results", "claims", "report", "speed")
