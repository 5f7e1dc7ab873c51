"""tmp"""


def measure(course, arms, winners):
    pass
