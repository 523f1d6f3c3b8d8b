"""Which image the agents of a config run. No text of a config names one: it only chooses among the operator's own."""

from collections.abc import Mapping

from device_plugin_api.config import ConfigSpec


def error(spec: ConfigSpec, of_sources: Mapping[str, str]) -> str | None:
    """Why there is no image that has all of a config's sources, or None. `of_sources`: source → image."""
    images: dict[str, str] = {}
    for index, resource in enumerate(spec.resources):
        custom = resource.source.custom
        if custom is None:
            continue
        image = of_sources.get(custom.name)
        if image is None:
            known = ", ".join(sorted(of_sources)) or "none"
            return (
                f"spec.resources[{index}].source.custom.name {custom.name!r} has no image: the operator's setting "
                f"sourceImages has {known}"
            )
        images[image] = custom.name
    if len(images) > 1:
        return (
            f"spec.resources: the sources {' and '.join(sorted(images.values()))} are in different images, and a "
            "config's agents run one: put them into configs of their own"
        )
    return None


def chosen(spec: ConfigSpec, agents: str, of_sources: Mapping[str, str]) -> str:
    """The image of a config without error. `agents`: the one that has every source of ours."""
    own = (of_sources[resource.source.custom.name] for resource in spec.resources if resource.source.custom is not None)
    return next(own, agents)
