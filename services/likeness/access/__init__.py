"""Who may do what, written in Cedar: the directory of who there is, the policies, and what a call may then see."""
