"""The checks, one module per story. Each story runs in its own box; its rows run in sequence."""

from checks import clocks, disk, figures, install, packages, readme, restarts, rpm, service, settings, sleep

STORIES = {
    "service": service.story,
    "restarts": restarts.story,
    "settings": settings.story,
    "disk": disk.story,
    "clocks": clocks.story,
    "packages": packages.story,
    "rpm": rpm.story,
    "sleep": sleep.story,
    "figures": figures.story,
    "install": install.story,
    "readme-debian": readme.debian,
    "readme-linux": readme.linux,
}
