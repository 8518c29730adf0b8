"""The library behind the workflow, in rooms. Each imports from those before it in this list only.

common, plan, data, protocols, results, claims, report, speed
"""
