"""Models in processes of their own: started, asked, watched and ended from here; `guest/` is what runs in there."""
