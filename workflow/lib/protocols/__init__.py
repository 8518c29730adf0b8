"""The ways to run: one file is one protocol.

Protocols are found by looking into this folder, as tasks and estimators are. The files that begin
with an underscore hold what protocols share.
"""
