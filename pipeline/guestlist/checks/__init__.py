"""What each guest obeys, what no two guests may share, and what is worth a warning."""
