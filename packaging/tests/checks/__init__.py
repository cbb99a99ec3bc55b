"""What is checked: a story each, in a box of its own; the rows of a story follow each other."""

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
