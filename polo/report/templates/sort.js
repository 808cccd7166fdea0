// A click or Enter on a head sorts its table; numbers by value (data-v), words by alphabet.
document.querySelectorAll('table.sortable').forEach(table=>{
 const heads=[...table.tHead.rows[0].cells],body=table.tBodies[0];
 heads.forEach((head,column)=>{const button=head.querySelector('button');if(!button)return;
  button.addEventListener('click',()=>{
   const down=head.getAttribute('aria-sort')!=='descending';
   heads.forEach(other=>other.removeAttribute('aria-sort'));
   head.setAttribute('aria-sort',down?'descending':'ascending');
   const value=row=>{const cell=row.cells[column],v=cell.dataset.v;return v===undefined?cell.textContent:+v};
   const compare=(a,b)=>{const x=value(a),y=value(b);
    return typeof x==='number'&&typeof y==='number'?x-y:String(x).localeCompare(String(y))};
   [...body.rows].sort((a,b)=>down?compare(b,a):compare(a,b)).forEach(row=>body.append(row));
  })})});
