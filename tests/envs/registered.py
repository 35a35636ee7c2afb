"""The test tasks for real command lines: --env=tests.envs.registered:TfpgBroken-v0."""

from tests.envs import tasks

tasks.register()
