from apiserver_fixture.fixture import api, control_plane, controllers

__all__ = ["api", "control_plane", "controllers"]
